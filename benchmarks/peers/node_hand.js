// Node by hand: Buffer.indexOf for lines, readUInt32BE for lengths, cork for sending.
// node node_hand.js ROLE HOST PORT COUNT
const net = require('net');

const [role, host, port, count = '0'] = process.argv.slice(2);
const LINE = Buffer.from('x'.repeat(99) + '\n');
let frames = 0;
let rest = null;

function received(frame) { frames += 1; }

function lines(data) {
  if (rest) { data = Buffer.concat([rest, data]); rest = null; }
  let at = 0;
  for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, at)) {
    received(data.subarray(at, end > at && data[end - 1] === 13 ? end - 1 : end));
    at = end + 1;
  }
  if (at < data.length) rest = data.subarray(at);
}

function lengths(data) {
  if (rest) { data = Buffer.concat([rest, data]); rest = null; }
  let at = 0;
  while (at + 4 <= data.length) {
    const stop = at + 4 + data.readUInt32BE(at);
    if (stop > data.length) break;
    received(data.subarray(at + 4, stop));
    at = stop;
  }
  if (at < data.length) rest = data.subarray(at);
}

function counting(cut) {
  const socket = net.connect(Number(port), host);
  socket.on('data', cut);
  socket.on('close', () => console.log(frames));
}

function sending() {
  const socket = net.connect(Number(port), host);
  let left = Number(count);
  function more() {
    while (left > 0) {
      let room = true;
      socket.cork();
      for (let n = 0; n < 100 && left > 0; n += 1, left -= 1) room = socket.write(LINE);
      socket.uncork();
      if (!room) { socket.once('drain', more); return; }
    }
    socket.end();
  }
  socket.on('connect', more);
  socket.on('close', () => console.log(Number(count)));
  socket.resume();
}

({
  'lines-in': () => counting(lines),
  'crlf-in': () => counting(lines),
  'length-in': () => counting(lengths),
  'out-batch': sending,
})[role]();
