// The documents of the tests. Their words occur nowhere else, so a question has one right place.

export const TRAVEL = `# Travel policy of the lighthouse office

## Hotels

The lighthouse office refunds hotel costs of up to 137 crowns a night, breakfast included. Receipts are handed in
within three weeks, or the claim is refused.

## Trains and ferries

Ferries to the northern skerries are booked by the harbour desk. First class is paid only for journeys of more than
five hours.

## Dogs

A lighthouse keeper may take one dog along. The dog travels free of charge on every ferry of the office.
`;

export const KITCHEN = `# Kitchen rules

The samovar is descaled on the first Monday of each month with citric acid. Whoever empties the biscuit tin refills it.

## Fire

The stove goes out at nine in the evening. The red bucket beside the stove holds sand and nothing else.
`;

export const QUESTION = 'How much does the lighthouse office refund for a hotel night?';
export const SECOND_QUESTION = 'When is the samovar descaled?';
export const UNANSWERABLE = 'Which zinc compounds does the Zanzibar observatory use in its telescopes?';
