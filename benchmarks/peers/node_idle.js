// Node's net: connections that have nothing to do.
// node node_idle.js ROLE HOST PORT LINKS
// Says "start", waits for a line, connects, says "connected LINKS 0", stays until its input ends.
const net = require('net');

const [, , port, count] = process.argv.slice(2);
const WAVE = 250;
const sockets = [];

function wave() {
  const first = sockets.length;
  const size = Math.min(WAVE, Number(count) - first);
  if (!size) { console.log(`connected ${sockets.length} 0`); return; }
  let ready = 0;
  for (let n = 0; n < size; n += 1) {
    const socket = net.connect(Number(port), `127.0.0.${1 + ((first + n) % 8)}`, () => {
      ready += 1;
      if (ready === size) wave();
    });
    socket.on('data', () => {});
    sockets.push(socket);
  }
}

process.stdin.once('data', wave);
process.stdin.on('end', () => process.exit(0));
console.log('start');
