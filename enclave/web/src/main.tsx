// Starts the page.

import { createRoot } from 'react-dom/client';
import { Cloister } from './session/cloister';
import './style/tokens.css';
import './style/base.css';
import './style/gate.css';
import './style/workspace.css';
import './style/conversation.css';
import './style/documents.css';
import { App } from './ui/App';
import { CloisterContext } from './ui/context';

const root = document.getElementById('root');
if (!root) throw new Error('the page has no root');

const cloister = new Cloister();
createRoot(root).render(
  <CloisterContext value={cloister}>
    <App />
  </CloisterContext>,
);
void cloister.start();
