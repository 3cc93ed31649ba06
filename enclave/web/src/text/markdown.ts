// A small, safe Markdown: text in, a tree out, and the tree knows no HTML, no images and no live links.
//
// Answers are made from documents that may be hostile. Nothing here can name a remote resource: an image becomes its
// description, a link becomes its words and its address as text, and markup in angle brackets stays text.

export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'strong' | 'emphasis'; children: Inline[] }
  | { kind: 'link'; children: Inline[]; address: string }
  | { kind: 'image'; description: string }
  | { kind: 'citation'; tag: string }
  | { kind: 'break' };

export type Block =
  | { kind: 'paragraph'; children: Inline[] }
  | { kind: 'heading'; level: number; children: Inline[] }
  | { kind: 'code'; text: string }
  | { kind: 'quote'; children: Block[] }
  | { kind: 'list'; ordered: boolean; start: number; items: Block[][] }
  | { kind: 'table'; header: Inline[][]; rows: Inline[][][] }
  | { kind: 'rule' };

/** Nesting deeper than this is shown as text. */
const MAX_DEPTH = 8;

/** Parses a whole text. */
export function parseMarkdown(text: string): Block[] {
  return parseBlocks(text.replace(/\r\n?/g, '\n').split('\n'), 0);
}

/** The text of a tree, for screen readers and for copying: no markup, no citation tags. */
export function plainText(blocks: Block[]): string {
  return blocks.map(blockText).join('\n').trim();
}

function parseBlocks(lines: string[], depth: number): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? '';
    if (line.trim() === '') {
      at += 1;
      continue;
    }
    const [block, next] = parseBlock(lines, at, depth);
    blocks.push(block);
    at = Math.max(next, at + 1);
  }
  return blocks;
}

function parseBlock(lines: string[], at: number, depth: number): [Block, number] {
  const line = lines[at] ?? '';
  const fence = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
  if (fence) return parseFence(lines, at, fence);
  const heading = /^ {0,3}(#{1,6})[ \t]+(.*)$/.exec(line);
  if (heading) {
    const level = (heading[1] ?? '#').length;
    const words = (heading[2] ?? '').replace(/[ \t]#+[ \t]*$/, '');
    return [{ kind: 'heading', level, children: parseInline(words) }, at + 1];
  }
  if (/^ {0,3}([-*_])([ \t]*\1){2,}[ \t]*$/.test(line)) return [{ kind: 'rule' }, at + 1];
  if (depth < MAX_DEPTH) {
    if (/^ {0,3}>/.test(line)) return parseQuote(lines, at, depth);
    if (marker(line)) return parseList(lines, at, depth);
    if (isTable(lines, at)) return parseTable(lines, at);
  }
  return parseParagraph(lines, at, depth);
}

function parseFence(lines: string[], at: number, fence: string): [Block, number] {
  const body: string[] = [];
  let next = at + 1;
  for (; next < lines.length; next++) {
    const line = lines[next] ?? '';
    if (line.trim().startsWith(fence) && /^[`~]+$/.test(line.trim())) break;
    body.push(line);
  }
  return [{ kind: 'code', text: body.join('\n') }, next + 1];
}

function parseQuote(lines: string[], at: number, depth: number): [Block, number] {
  const inner: string[] = [];
  let next = at;
  for (; next < lines.length && /^ {0,3}>/.test(lines[next] ?? ''); next++) {
    inner.push((lines[next] ?? '').replace(/^ {0,3}> ?/, ''));
  }
  return [{ kind: 'quote', children: parseBlocks(inner, depth + 1) }, next];
}

interface Marker {
  readonly ordered: boolean;
  readonly start: number;
  readonly width: number;
}

/** The list marker that a line begins with. */
function marker(line: string): Marker | null {
  const match = /^( {0,3})(?:([-*+])|(\d{1,9})[.)])([ \t]+)\S/.exec(line);
  if (!match) return null;
  const ordered = match[3] !== undefined;
  return { ordered, start: ordered ? Number(match[3]) : 1, width: match[0].length - 1 };
}

function parseList(lines: string[], at: number, depth: number): [Block, number] {
  const first = marker(lines[at] ?? '');
  const ordered = first?.ordered ?? false;
  const items: Block[][] = [];
  let next = at;
  while (next < lines.length) {
    const mark = marker(lines[next] ?? '');
    if (!mark || mark.ordered !== ordered) break;
    const inner = [(lines[next] ?? '').slice(mark.width)];
    next += 1;
    while (next < lines.length) {
      const line = lines[next] ?? '';
      const blank = line.trim() === '';
      const indented = /^(?: {2,}|\t)/.test(line);
      if (blank && !/^(?: {2,}|\t)\S/.test(lines[next + 1] ?? '')) break;
      if (!blank && !indented) break;
      inner.push(line.replace(/^(?:\t| {1,4})/, ''));
      next += 1;
    }
    items.push(parseBlocks(inner, depth + 1));
    if ((lines[next] ?? '').trim() === '' && marker(lines[next + 1] ?? '')) next += 1;
  }
  return [{ kind: 'list', ordered, start: first?.start ?? 1, items }, next];
}

function isTable(lines: string[], at: number): boolean {
  const divider = lines[at + 1] ?? '';
  return (
    (lines[at] ?? '').includes('|') && divider.includes('-') && divider.includes('|') && /^[\s|:-]+$/.test(divider)
  );
}

function parseTable(lines: string[], at: number): [Block, number] {
  const cells = (line: string) =>
    line
      .trim()
      .replace(/^\|/, '')
      .replace(/\|$/, '')
      .split('|')
      .map((cell) => parseInline(cell.trim()));
  const header = cells(lines[at] ?? '');
  const rows: Inline[][][] = [];
  let next = at + 2;
  for (; next < lines.length && (lines[next] ?? '').includes('|'); next++) rows.push(cells(lines[next] ?? ''));
  return [{ kind: 'table', header, rows }, next];
}

function parseParagraph(lines: string[], at: number, depth: number): [Block, number] {
  const words: string[] = [];
  let next = at;
  for (; next < lines.length; next++) {
    const line = lines[next] ?? '';
    if (line.trim() === '') break;
    const interrupts =
      /^ {0,3}(?:`{3,}|~{3,}|#{1,6}[ \t])/.test(line) ||
      (depth < MAX_DEPTH && (/^ {0,3}>/.test(line) || marker(line) !== null));
    if (next > at && interrupts) break;
    words.push(line.trimStart());
  }
  return [{ kind: 'paragraph', children: parseInline(words.join('\n')) }, next];
}

/** Parses what stands inside a block. */
export function parseInline(text: string, depth = 0): Inline[] {
  const out: Inline[] = [];
  let plain = '';
  const flush = () => {
    if (plain !== '') out.push({ kind: 'text', text: plain });
    plain = '';
  };
  for (let at = 0; at < text.length;) {
    const found = depth < MAX_DEPTH ? parseSpan(text, at, depth) : null;
    if (found) {
      // A number that stands for a source hangs on the word before it.
      if (found.node?.kind === 'citation') plain = plain.trimEnd();
      flush();
      if (found.node) out.push(found.node);
      at = found.end;
      continue;
    }
    const escaped = text[at] === '\\' && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? '');
    plain += text[escaped ? at + 1 : at] ?? '';
    at += escaped ? 2 : 1;
  }
  flush();
  return out;
}

interface Span {
  readonly node: Inline | null;
  readonly end: number;
}

function parseSpan(text: string, at: number, depth: number): Span | null {
  switch (text[at]) {
    case '\n':
      return {
        node: / {2}$|\\$/.test(text.slice(Math.max(0, at - 2), at)) ? { kind: 'break' } : { kind: 'text', text: ' ' },
        end: at + 1,
      };
    case '`':
      return parseCode(text, at);
    case '*':
    case '_':
      return parseStress(text, at, depth);
    case '!':
      return text[at + 1] === '[' ? parseLink(text, at + 1, depth, 'image') : null;
    case '[':
      return parseCitation(text, at) ?? parseLink(text, at, depth, 'link');
    default:
      return null;
  }
}

function parseCode(text: string, at: number): Span | null {
  const ticks = /^`+/.exec(text.slice(at, at + 16))?.[0] ?? '`';
  const end = text.indexOf(ticks, at + ticks.length);
  if (end < 0) return null;
  return { node: { kind: 'code', text: text.slice(at + ticks.length, end).trim() }, end: end + ticks.length };
}

function parseStress(text: string, at: number, depth: number): Span | null {
  const sign = text[at] ?? '*';
  const wordBefore = /[\p{L}\p{N}]/u.test(text[at - 1] ?? '');
  if (sign === '_' && wordBefore) return null;
  const mark = text[at + 1] === sign ? sign + sign : sign;
  const start = at + mark.length;
  if (/^\s|^$/.test(text.slice(start, start + 1))) return null;
  const end = text.indexOf(mark, start);
  if (end <= start || /\s/.test(text[end - 1] ?? ' ')) return null;
  if (sign === '_' && /[\p{L}\p{N}]/u.test(text[end + mark.length] ?? '')) return null;
  const children = parseInline(text.slice(start, end), depth + 1);
  return { node: { kind: mark.length === 2 ? 'strong' : 'emphasis', children }, end: end + mark.length };
}

/** `[s1]`: a citation tag of the server. An unfinished one at the end of a stream shows nothing yet. */
function parseCitation(text: string, at: number): Span | null {
  const tag = /^\[(s\d{1,3})\]/.exec(text.slice(at, at + 6))?.[1];
  if (tag) return { node: { kind: 'citation', tag }, end: at + tag.length + 2 };
  if (text.length - at <= 5 && /^\[(?:s\d{0,3})?$/.test(text.slice(at))) return { node: null, end: text.length };
  return null;
}

function parseLink(text: string, open: number, depth: number, kind: 'link' | 'image'): Span | null {
  const close = text.indexOf(']', open + 1);
  if (close < 0 || text[close + 1] !== '(') return null;
  const end = text.indexOf(')', close + 2);
  if (end < 0) return null;
  const words = text.slice(open + 1, close);
  const address = (
    text
      .slice(close + 2, end)
      .trim()
      .split(/\s/)[0] ?? ''
  ).replace(/^<|>$/g, '');
  if (kind === 'image') return { node: { kind, description: words }, end: end + 1 };
  return { node: { kind, children: parseInline(words, depth + 1), address }, end: end + 1 };
}

function blockText(block: Block): string {
  switch (block.kind) {
    case 'paragraph':
    case 'heading':
      return inlineText(block.children);
    case 'code':
      return block.text;
    case 'quote':
      return plainText(block.children);
    case 'list':
      return block.items.map(plainText).join('\n');
    case 'table':
      return [block.header, ...block.rows].map((row) => row.map(inlineText).join(', ')).join('\n');
    case 'rule':
      return '';
  }
}

function inlineText(inline: Inline[]): string {
  return inline
    .map((node) => {
      switch (node.kind) {
        case 'text':
        case 'code':
          return node.text;
        case 'strong':
        case 'emphasis':
        case 'link':
          return inlineText(node.children);
        case 'image':
          return node.description;
        case 'break':
          return '\n';
        case 'citation':
          return '';
      }
    })
    .join('');
}
