// What AssemblyScript's library is used for: strings, maps, arrays, sorting, classes and floats.

class Word {
  constructor(public name: string, public count: i32) {}
}

function readAll(): string {
  const chunks = new Array<ArrayBuffer>();
  let length = 0;
  while (true) {
    const chunk = new ArrayBuffer(256);
    const count = process.stdin.read(chunk);
    if (count <= 0) break;
    chunks.push(chunk.slice(0, count));
    length += count;
  }
  const all = new Uint8Array(length);
  for (let i = 0, at = 0; i < chunks.length; i++) {
    all.set(Uint8Array.wrap(chunks[i]), at);
    at += chunks[i].byteLength;
  }
  return String.UTF8.decode(all.buffer);
}

const text = readAll();
const counts = new Map<string, i32>();
let sum = 0.0;
const tokens = text.split("\n").join(" ").split(" ");
for (let i = 0; i < tokens.length; i++) {
  const token = tokens[i];
  if (token.length == 0) continue;
  counts.set(token, counts.has(token) ? counts.get(token) + 1 : 1);
  const number = parseFloat(token);
  if (!isNaN(number)) sum += number;
}

const words = new Array<Word>();
const names = counts.keys();
for (let i = 0; i < names.length; i++) words.push(new Word(names[i], counts.get(names[i])));
words.sort((a, b) => (a.count == b.count ? (a.name < b.name ? -1 : 1) : b.count - a.count));
for (let i = 0; i < 5; i++) console.log(words[i].name + " " + words[i].count.toString());
console.log(sum.toString() + " " + Math.sqrt(sum).toString() + " " + text.length.toString());
