// Icons, drawn for this page: 20 × 20, one stroke, decorative (names stand in the buttons that hold them).

import type { ReactNode } from 'react';

function icon(children: ReactNode) {
  return function Icon() {
    return (
      <svg className="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
        {children}
      </svg>
    );
  };
}

export const Plus = icon(<path d="M10 4v12M4 10h12" />);
export const Send = icon(<path d="M10 16V4M5 9l5-5 5 5" />);
export const Stop = icon(<rect x="5.5" y="5.5" width="9" height="9" rx="1.5" fill="currentColor" />);
export const Close = icon(<path d="M5 5l10 10M15 5L5 15" />);
export const Menu = icon(<path d="M3 6h14M3 10h14M3 14h14" />);
export const Check = icon(<path d="M4.5 10.5l3.5 3.5 7.5-8" />);
export const Cross = icon(<path d="M5.5 5.5l9 9M14.5 5.5l-9 9" />);
export const Dash = icon(<path d="M5.5 10h9" />);
export const Page = icon(<path d="M5 2.5h6.5L15.5 6.5v11H5zM11.5 2.5v4h4M7.5 10h5M7.5 13h5" />);
export const Chat = icon(<path d="M3.5 4.5h13v9h-7l-3.5 3v-3h-2.5z" />);
export const Download = icon(<path d="M10 3.5v9M6 9l4 4 4-4M4 16.5h12" />);
export const Upload = icon(<path d="M10 13V4M6 7.5L10 3.5l4 4M4 16.5h12" />);
export const Copy = icon(<path d="M7 7h9.5v9.5H7zM13 7V3.5H3.5V13H7" />);
export const Leave = icon(<path d="M8 3.5H4v13h4M12.5 6.5L16 10l-3.5 3.5M16 10H8" />);
export const Bin = icon(<path d="M4 5.5h12M8 5.5v-2h4v2M5.5 5.5l.7 11h7.6l.7-11M8.5 8.5v5M11.5 8.5v5" />);
export const Person = icon(
  <path d="M10 10a3.2 3.2 0 1 0 0-6.4A3.2 3.2 0 0 0 10 10zM3.8 17c.6-3.2 3-4.8 6.2-4.8s5.6 1.6 6.2 4.8" />,
);
export const Book = icon(
  <path d="M10 5c-2-1.4-4.500-1.500-6.500-1v11.500c2-.5 4.500-.4 6.500 1 2-1.400 4.500-1.500 6.500-1V4c-2-.5-4.500-.4-6.500 1zm0 0v11.500" />,
);
export const Ledger = icon(<path d="M4.500 3h11v14h-11zM7.500 6.500h5M7.500 10h5M7.500 13.500h3" />);
export const Shield = icon(<path d="M10 2.500l6 2v5c0 4-2.500 6.500-6 8-3.500-1.500-6-4-6-8v-5z" />);
export const ShieldCheck = icon(
  <>
    <path d="M10 2.500l6 2v5c0 4-2.500 6.500-6 8-3.500-1.500-6-4-6-8v-5z" />
    <path d="M7.300 10l2 2 3.600-4" />
  </>,
);
export const ShieldAlert = icon(
  <>
    <path d="M10 2.500l6 2v5c0 4-2.500 6.500-6 8-3.500-1.500-6-4-6-8v-5z" />
    <path d="M10 6.500v4M10 13.200v.1" />
  </>,
);

/** The mark: a cloister's arch with a keyhole. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path className="mark-arch" d="M5 29V14a11 11 0 0 1 22 0v15h-5V14.500a6 6 0 0 0-12 0V29z" />
      <path
        className="mark-key"
        d="M16 14.500a2.300 2.300 0 0 1 1.200 4.250l.9 4.250h-4.200l.9-4.250A2.300 2.300 0 0 1 16 14.500z"
      />
    </svg>
  );
}
