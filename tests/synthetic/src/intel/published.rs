//! What Intel publishes about a platform: TCB info and QE identity, before they are signed.

use serde_json::{Value, json};

fn components(svns: &[u8]) -> Value {
    let mut all = [0; 16];
    all[..svns.len()].copy_from_slice(svns);
    all.iter().map(|svn| json!({ "svn": svn })).collect()
}

pub(super) fn tcb_info() -> Value {
    let signer = "00".repeat(48);
    let level = |sgx: &[u8], pce: u8, tdx: &[u8], status: &str, advisories: &[&str], date: &str| {
        json!({
            "tcb": { "sgxtcbcomponents": components(sgx), "pcesvn": pce, "tdxtcbcomponents": components(tdx) },
            "tcbDate": date, "tcbStatus": status, "advisoryIDs": advisories,
        })
    };
    json!({
        "id": "TDX", "version": 3, "issueDate": "2026-09-10T00:00:00Z", "nextUpdate": "2026-10-10T00:00:00Z",
        "fmspc": "00A0C0FFEE00", "pceId": "0000", "tcbType": 0, "tcbEvaluationDataNumber": 20,
        "tdxModule": { "mrsigner": signer, "attributes": "0000000000000000", "attributesMask": "FFFFFFFFFFFFFFFF" },
        "tdxModuleIdentities": [{
            "id": "TDX_01", "mrsigner": signer,
            "attributes": "0000000000000000", "attributesMask": "FFFFFFFFFFFFFFFF",
            "tcbLevels": [
                { "tcb": { "isvsvn": 6 }, "tcbDate": "2025-06-01T00:00:00Z", "tcbStatus": "UpToDate" },
                { "tcb": { "isvsvn": 4 }, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": "OutOfDate",
                  "advisoryIDs": ["TEST-SA-00001"] },
                { "tcb": { "isvsvn": 2 }, "tcbDate": "2023-08-09T00:00:00Z", "tcbStatus": "Revoked" },
            ],
        }],
        // The lower level comes first: order must not matter.
        "tcbLevels": [
            level(&[3, 3, 2, 2, 4, 1, 0, 5], 11, &[5, 0, 3], "OutOfDate", &["TEST-SA-00010"], "2024-03-13T00:00:00Z"),
            level(&[4, 4, 2, 2, 4, 1, 0, 5], 13, &[5, 0, 4], "UpToDate", &[], "2025-06-01T00:00:00Z"),
        ],
    })
}

pub(super) fn qe_identity() -> Value {
    json!({
        "id": "TD_QE", "version": 2, "issueDate": "2026-09-10T00:00:00Z", "nextUpdate": "2026-10-10T00:00:00Z",
        "tcbEvaluationDataNumber": 20, "miscselect": "00000000", "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000", "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": "DC".repeat(32), "isvprodid": 2,
        "tcbLevels": [
            { "tcb": { "isvsvn": 4 }, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": "UpToDate" },
            { "tcb": { "isvsvn": 2 }, "tcbDate": "2021-03-13T00:00:00Z", "tcbStatus": "OutOfDate",
              "advisoryIDs": ["TEST-SA-00020"] },
        ],
    })
}
