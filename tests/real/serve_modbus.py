"""A Modbus TCP server whose first two holding registers are 17 and 4711: HOST PORT."""

import sys

from pyModbusTCP.server import ModbusServer

host, port = sys.argv[1:]
server = ModbusServer(host, int(port))
server.data_bank.set_holding_registers(0, [17, 4711])
server.start()
