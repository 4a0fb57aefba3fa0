// Node's net, and readline for lines, as its documentation shows them.
// node node_stock.js ROLE HOST PORT COUNT [CONNECTIONS]
const net = require('net');
const readline = require('readline');

const [role, host, port, count = '0', connections = '1'] = process.argv.slice(2);
const LINE = Buffer.from('x'.repeat(99) + '\n');
const REQUEST = Buffer.from('q'.repeat(63) + '\n');
let frames = 0;

function linesIn() {
  const input = net.connect(Number(port), host);
  const lines = readline.createInterface({ input, crlfDelay: Infinity });
  lines.on('line', () => { frames += 1; });
  lines.on('close', () => console.log(frames));
}

function sending() {
  const socket = net.connect(Number(port), host);
  let left = Number(count);
  function more() {
    while (left > 0) {
      left -= 1;
      if (!socket.write(LINE)) { socket.once('drain', more); return; }
    }
    socket.end();
  }
  socket.on('connect', more);
  socket.on('close', () => console.log(Number(count)));
  socket.resume();
}

function asking() {
  const total = Number(connections);
  const each = Math.floor(Number(count) / total);
  const sockets = [];
  let ready = 0;
  let open = total;
  for (let n = 0; n < total; n += 1) {
    const socket = net.connect({ port: Number(port), host, noDelay: true });
    let left = each;
    sockets.push(socket);
    socket.on('connect', () => {
      ready += 1;
      if (ready === total) for (const one of sockets) one.write(REQUEST);
    });
    socket.on('data', () => {
      left -= 1;
      if (left) socket.write(REQUEST); else socket.end();
    });
    socket.on('close', () => {
      open -= 1;
      if (!open) console.log(each * total);
    });
  }
}

({ 'lines-in': linesIn, 'crlf-in': linesIn, out: sending, ask: asking })[role]();
