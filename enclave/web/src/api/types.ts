// Wire types of the native API, as `enclave/protocol/src/api.rs` defines them. Times are Unix milliseconds.

export type Role = 'owner' | 'member' | 'auditor';
export type KsfId = 'memory-constrained' | 'rfc-recommended';

export interface List<T> {
  items: T[];
}

export interface LoggedIn {
  session: string;
  person_id: string;
  org_id: string;
  org_name: string;
  role: Role;
  expires_ms: number;
  idle_ms: number;
}

export interface Workspace {
  id: string;
  name: string;
  created_ms: number;
}

export interface Me {
  person_id: string;
  login: string;
  org_id: string;
  org_name: string;
  role: Role;
  permissions: string[];
  workspaces: Workspace[];
}

export interface Enrolment {
  id: string;
  code: string;
  role: Role;
  expires_ms: number;
}

export interface Assistant {
  id: string;
  workspace_id: string;
  name: string;
  purpose: string;
  document_ids: string[] | null;
  created_ms: number;
}

export type DocumentState = 'uploaded' | 'processing' | 'ready' | 'error';

export interface DocumentInfo {
  id: string;
  workspace_id: string;
  title: string;
  author: string | null;
  file_name: string;
  format: 'pdf' | 'markdown' | 'html' | 'text';
  size_bytes: number;
  sha256: string;
  state: DocumentState;
  progress: number;
  page_count: number | null;
  chunk_count: number | null;
  problem: string | null;
  created_ms: number;
  ready_ms: number | null;
}

export interface Uploaded {
  document: DocumentInfo;
  outcome: 'new' | 'existing' | 'access_granted';
}

export interface Conversation {
  id: string;
  assistant_id: string;
  title: string;
  created_ms: number;
  updated_ms: number;
}

export type AnswerKind = 'generated' | 'quotation' | 'refusal' | 'stopped';

export interface Citation {
  tag: string;
  document_id: string;
  document_title: string;
  document_sha256: string;
  chunk_id: string;
  section: string[];
  page: number | null;
  quote: string;
  score: number;
}

export interface Message {
  id: string;
  role: 'user' | 'assistant';
  text: string;
  kind: AnswerKind | null;
  citations: Citation[];
  receipt_id: string | null;
  created_ms: number;
}

/** Events of an answer: `event:` is the name, `data:` its JSON. */
export type AnswerEvent =
  | { event: 'started'; data: { message_id: string } }
  | { event: 'queued'; data: { ahead: number } }
  | { event: 'delta'; data: { text: string } }
  | { event: 'citation'; data: Citation }
  | { event: 'done'; data: { message: Message; prompt_tokens: number; completion_tokens: number } }
  | { event: 'failed'; data: { problem: string } };

/** The newest head of the audit log; `proof` is null when the log is shorter than what was asked about. */
export interface Consistency {
  checkpoint: string;
  vkey: string;
  proof: string[] | null;
}
