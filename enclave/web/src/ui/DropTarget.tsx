// Files may be dropped anywhere on the page.

import { type DragEvent, type ReactNode, useRef, useState } from 'react';
import { Upload } from './icons';

export function DropTarget({ onFiles, children }: { onFiles: (files: Iterable<File>) => void; children: ReactNode }) {
  const [over, setOver] = useState(false);
  const depth = useRef(0);

  const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes('Files');
  function enter(event: DragEvent) {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth.current += 1;
    setOver(true);
  }
  function leave(event: DragEvent) {
    if (!hasFiles(event)) return;
    depth.current -= 1;
    if (depth.current <= 0) setOver(false);
  }
  function drop(event: DragEvent) {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth.current = 0;
    setOver(false);
    onFiles(event.dataTransfer.files);
  }

  return (
    <div
      className="drop-target"
      onDragEnter={enter}
      onDragOver={(event) => hasFiles(event) && event.preventDefault()}
      onDragLeave={leave}
      onDrop={drop}
    >
      {children}
      {over && (
        <div className="drop-overlay" aria-hidden="true">
          <div>
            <Upload />
            <p>Drop to add to the documents</p>
          </div>
        </div>
      )}
    </div>
  );
}
