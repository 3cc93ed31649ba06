// Shows a Markdown tree as elements. Only the element names below can come out of an answer, without attributes.

import type { ReactNode } from 'react';
import type { Block, Inline } from '../text/markdown';

type Cite = (tag: string) => ReactNode;

export function MarkdownView({ blocks, cite }: { blocks: Block[]; cite: Cite }): ReactNode {
  return blocks.map((block, at) => <BlockView key={at} block={block} cite={cite} />);
}

function BlockView({ block, cite }: { block: Block; cite: Cite }): ReactNode {
  switch (block.kind) {
    case 'paragraph':
      return <p>{inline(block.children, cite)}</p>;
    case 'heading':
      // An answer stands below the page's own headings.
      return block.level <= 2 ? <h3>{inline(block.children, cite)}</h3> : <h4>{inline(block.children, cite)}</h4>;
    case 'code':
      return (
        <pre dir="ltr" tabIndex={0}>
          <code>{block.text}</code>
        </pre>
      );
    case 'quote':
      return (
        <blockquote>
          <MarkdownView blocks={block.children} cite={cite} />
        </blockquote>
      );
    case 'list': {
      const items = block.items.map((item, at) => <li key={at}>{tight(item, cite)}</li>);
      return block.ordered ? <ol start={block.start}>{items}</ol> : <ul>{items}</ul>;
    }
    case 'table':
      return (
        <div className="table" tabIndex={0} role="region" aria-label="Table">
          <table>
            <thead>
              <tr>
                {block.header.map((cell, at) => (
                  <th key={at} scope="col">
                    {inline(cell, cite)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {block.rows.map((row, at) => (
                <tr key={at}>
                  {row.map((cell, column) => (
                    <td key={column}>{inline(cell, cite)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      );
    case 'rule':
      return <hr />;
  }
}

/** A list item that is one paragraph needs no paragraph around it. */
function tight(item: Block[], cite: Cite): ReactNode {
  const [first, ...rest] = item;
  if (first?.kind !== 'paragraph') return <MarkdownView blocks={item} cite={cite} />;
  return (
    <>
      {inline(first.children, cite)}
      <MarkdownView blocks={rest} cite={cite} />
    </>
  );
}

function inline(nodes: Inline[], cite: Cite): ReactNode {
  return nodes.map((node, at) => <InlineView key={at} node={node} cite={cite} />);
}

function InlineView({ node, cite }: { node: Inline; cite: Cite }): ReactNode {
  switch (node.kind) {
    case 'text':
      return node.text;
    case 'code':
      return <code dir="ltr">{node.text}</code>;
    case 'strong':
      return <strong>{inline(node.children, cite)}</strong>;
    case 'emphasis':
      return <em>{inline(node.children, cite)}</em>;
    case 'link':
      return (
        <>
          {inline(node.children, cite)} <span className="address">({node.address})</span>
        </>
      );
    case 'image':
      return <span className="address">[image not shown{node.description && `: ${node.description}`}]</span>;
    case 'break':
      return <br />;
    case 'citation':
      return cite(node.tag);
  }
}
