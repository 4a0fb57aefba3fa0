"""No framework: the standard library's `selectors`, as in a tutorial that works.

python selectors_client.py ROLE HOST PORT COUNT [CONNECTIONS]
"""

import selectors
import socket
import sys

LINE = b"x" * 99 + b"\n"
REQUEST = b"q" * 63 + b"\n"
frames = 0


def received(frame):
    global frames
    frames += 1


def create_socket(host, port):
    link = socket.create_connection((host, port))
    link.setblocking(False)
    return link


def lines_in(data, rest):
    lines = (rest + data).split(b"\n")
    for line in lines[:-1]:
        received(line)
    return lines[-1]


def length_in(data, rest):
    data = rest + data
    while len(data) >= 4:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            break
        received(data[4 : 4 + size])
        data = data[4 + size :]
    return data


def counting(host, port, cut):
    selector = selectors.DefaultSelector()
    link = create_socket(host, port)
    selector.register(link, selectors.EVENT_READ)
    rest = b""
    while True:
        for key, _ in selector.select():
            data = key.fileobj.recv(65536)
            if not data:
                link.close()
                return print(frames)
            rest = cut(data, rest)


def sending(host, port, count):
    """One send a frame: what a program without a buffer of its own does."""
    selector = selectors.DefaultSelector()
    link = create_socket(host, port)
    selector.register(link, selectors.EVENT_WRITE)
    left = b""
    done = 0
    while done < count:
        for key, _ in selector.select():
            try:
                while done < count:
                    left = left or LINE
                    left = left[key.fileobj.send(left) :]
                    done += not left
            except BlockingIOError:
                pass
    link.close()
    return print(done)


def asking(host, port, count, connections):
    selector = selectors.DefaultSelector()
    each = count // connections
    for _ in range(connections):
        selector.register(create_socket(host, port), selectors.EVENT_READ, [each])
    for key in list(selector.get_map().values()):
        key.fileobj.send(REQUEST)
    while selector.get_map():
        for key, _ in selector.select():
            key.fileobj.recv(65536)
            key.data[0] -= 1
            if key.data[0]:
                key.fileobj.send(REQUEST)
            else:
                selector.unregister(key.fileobj)
                key.fileobj.close()
    print(each * connections)


def main(role, host, port, count="0", connections="1"):
    if role == "out":
        sending(host, int(port), int(count))
    elif role == "ask":
        asking(host, int(port), int(count), int(connections))
    else:
        counting(host, int(port), length_in if role == "length-in" else lines_in)


if __name__ == "__main__":
    main(*sys.argv[1:])
