import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.Iterator;

/** java.nio by hand, one byte[] a frame: java NioClient ROLE HOST PORT COUNT [CONNECTIONS]. */
public class NioClient {
    static long frames;

    static void received(byte[] frame) { frames++; }

    static SocketChannel connect(String[] args, Selector selector, int interest) throws Exception {
        SocketChannel channel = SocketChannel.open(
            new InetSocketAddress(args[1], Integer.parseInt(args[2])));
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
        channel.configureBlocking(false);
        channel.register(selector, interest);
        return channel;
    }

    interface Cutter { void cut(ByteBuffer buffer); }

    static void lines(ByteBuffer buffer) {
        byte[] bytes = buffer.array();
        int at = buffer.position(), end = buffer.limit();
        for (int n = at; n < end; n++) {
            if (bytes[n] != '\n') continue;
            int stop = n > at && bytes[n - 1] == '\r' ? n - 1 : n;
            received(Arrays.copyOfRange(bytes, at, stop));
            at = n + 1;
        }
        buffer.position(at);
    }

    static void lengths(ByteBuffer buffer) {
        while (buffer.remaining() >= 4) {
            int size = buffer.getInt(buffer.position());
            if (buffer.remaining() < 4 + size) return;
            byte[] frame = new byte[size];
            buffer.position(buffer.position() + 4);
            buffer.get(frame);
            received(frame);
        }
    }

    static void counting(String[] args, Cutter cutter) throws Exception {
        Selector selector = Selector.open();
        SocketChannel channel = connect(args, selector, SelectionKey.OP_READ);
        ByteBuffer buffer = ByteBuffer.allocate(128 * 1024);
        while (true) {
            selector.select();
            selector.selectedKeys().clear();
            if (channel.read(buffer) < 0) break;
            buffer.flip();
            cutter.cut(buffer);
            buffer.compact();
        }
        channel.close();
        System.out.println(frames);
    }

    /** Frames are put into one buffer, which is written when it is full. */
    static void sending(String[] args) throws Exception {
        byte[] line = new byte[100];
        Arrays.fill(line, (byte) 'x');
        line[99] = '\n';
        Selector selector = Selector.open();
        SocketChannel channel = connect(args, selector, SelectionKey.OP_WRITE);
        ByteBuffer buffer = ByteBuffer.allocate(64 * 1024);
        long count = Long.parseLong(args[3]), left = count;
        while (left > 0 || buffer.position() > 0) {
            while (left > 0 && buffer.remaining() >= line.length) {
                buffer.put(line);
                left--;
            }
            buffer.flip();
            if (channel.write(buffer) == 0) {
                selector.select();
                selector.selectedKeys().clear();
            }
            buffer.compact();
        }
        channel.close();
        System.out.println(count);
    }

    static void asking(String[] args) throws Exception {
        int connections = Integer.parseInt(args[4]);
        long each = Long.parseLong(args[3]) / connections;
        byte[] request = new byte[64];
        Arrays.fill(request, (byte) 'q');
        request[63] = '\n';
        Selector selector = Selector.open();
        for (int n = 0; n < connections; n++) {
            SocketChannel channel = connect(args, selector, SelectionKey.OP_READ);
            channel.keyFor(selector).attach(new long[] {each});
        }
        for (SelectionKey key : selector.keys())
            ((SocketChannel) key.channel()).write(ByteBuffer.wrap(request));
        ByteBuffer buffer = ByteBuffer.allocateDirect(65536);
        ByteBuffer out = ByteBuffer.allocateDirect(64).put(request);
        int open = connections;
        while (open > 0) {
            selector.select();
            for (Iterator<SelectionKey> all = selector.selectedKeys().iterator(); all.hasNext();) {
                SelectionKey key = all.next();
                all.remove();
                SocketChannel channel = (SocketChannel) key.channel();
                buffer.clear();
                channel.read(buffer);
                if (--((long[]) key.attachment())[0] > 0) {
                    out.rewind();
                    channel.write(out);
                } else {
                    channel.close();
                    open--;
                }
            }
        }
        System.out.println(each * connections);
    }

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "out": sending(args); break;
            case "ask": asking(args); break;
            case "length-in": counting(args, NioClient::lengths); break;
            default: counting(args, NioClient::lines);
        }
    }
}
