"""An HL7 server over MLLP: HOST PORT FILE.

It answers every message: AA when it was stored (its control identifier as a
line of FILE), AR when it is none that can be answered by name.
"""

import asyncio
import sys

from hl7.mllp import start_hl7_server

host, port, file = sys.argv[1:]


async def serve(reader, writer):
    try:
        while True:
            message = await reader.readmessage()
            identifier = str(message.segment("MSH")[10])
            if identifier:
                with open(file, "a") as kept:
                    print(identifier, file=kept)
            writer.writemessage(message.create_ack("AA" if identifier else "AR"))
            await writer.drain()
    except (EOFError, ConnectionError):
        writer.close()


async def main():
    server = await start_hl7_server(serve, host, int(port))
    await server.serve_forever()


asyncio.run(main())
