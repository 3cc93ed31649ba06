//! The fields of a TDX quote, in words.

use cloister_attestation::tdx::{Quote, Td15, TdAttributes, TdReport};

use super::sheet::{Sheet, sentences};

pub(super) fn sheet(bytes: &[u8]) -> Result<Sheet, String> {
    let quote = Quote::parse(bytes).map_err(|error| error.to_string())?;
    let mut sheet = Sheet::default();
    sheet.put("version", quote.header.version);
    sheet.bytes("user_data", &quote.header.user_data);
    report(&mut sheet, &quote.report);
    if let Some(td15) = &quote.report.td15 {
        report_15(&mut sheet, td15);
    }
    Ok(sheet)
}

fn report(sheet: &mut Sheet, report: &TdReport) {
    let attributes = report.td_attributes;
    sheet.explain("td_attributes", hex::encode(attributes.0), attributes_in_words(attributes));
    sheet.bytes("xfam", &report.xfam);
    sheet.explain("mrtd", hex::encode(report.mr_td), "the virtual firmware that the TD started with");
    let meanings = [
        "configuration of the virtual firmware",
        "boot loader and kernel",
        "kernel command line and initrd",
        "what user space recorded",
    ];
    for ((number, value), meaning) in report.rtmr.iter().enumerate().zip(meanings) {
        sheet.explain(format!("rtmr{number}"), hex::encode(value), meaning);
    }
    sheet.bytes("report_data", &report.report_data);
    let host = "set by the host at creation; signed, not measured";
    sheet.explain("mr_config_id", hex::encode(report.mr_config_id), host);
    sheet.explain("mr_owner", hex::encode(report.mr_owner), host);
    sheet.explain("mr_owner_config", hex::encode(report.mr_owner_config), host);
    let [module, line, ..] = report.tee_tcb_svn;
    let svn = format!("TDX module of line {line}, security version {module}");
    sheet.explain("tee_tcb_svn", hex::encode(report.tee_tcb_svn), svn);
    sheet.bytes("mr_seam", &report.mr_seam);
    let signer = if report.mr_signer_seam == [0; 48] { "Intel" } else { "NOT Intel" };
    sheet.explain("mr_signer_seam", hex::encode(report.mr_signer_seam), signer);
    sheet.bytes("seam_attributes", &report.seam_attributes);
}

fn report_15(sheet: &mut Sheet, td15: &Td15) {
    sheet.explain(
        "tee_tcb_svn_2",
        hex::encode(td15.tee_tcb_svn_2),
        "the security versions now, since the TD was launched",
    );
    let service =
        if td15.mr_service_td == [0; 48] { "no service TD" } else { "bound to a service TD, such as a migration TD" };
    sheet.explain("mr_service_td", hex::encode(td15.mr_service_td), service);
    let Some(more) = &td15.extended else { return };
    sheet.put("vm_id", more.vm_id);
    sheet.bytes("td_id", &more.td_id);
    sheet.bytes("device_info", &more.device_info);
    sheet.bytes("initial_service_td", &more.initial_service_td);
    sheet.bytes("initial_service_td_attributes", &more.initial_service_td_attributes);
    sheet.bytes("initial_cpu_svn", &more.initial_cpu_svn);
    sheet.bytes("initial_tee_tcb_svn", &more.initial_tee_tcb_svn);
    sheet.bytes("initial_fmspc", &more.initial_fmspc);
    sheet.bytes("current_service_td", &more.current_service_td);
    sheet.bytes("current_service_td_attributes", &more.current_service_td_attributes);
}

fn attributes_in_words(attributes: TdAttributes) -> String {
    sentences(&[
        (attributes.debug(), "DEBUG: the host can read and change the TD"),
        (attributes.under_debug_other(), "the host may profile or watch the TD"),
        (attributes.reserved(), "bits without a known meaning are set"),
        (attributes.service_td(), "the report speaks of service TDs"),
        (attributes.sept_ve_disable(), "the host cannot inject exceptions by taking pages away"),
        (!attributes.sept_ve_disable(), "the host CAN inject exceptions by taking pages away (SEPT_VE_DISABLE is off)"),
        (attributes.migratable(), "the TD may be migrated"),
        (attributes.protection_keys(), "supervisor protection keys are on"),
        (attributes.key_locker(), "Key Locker is on"),
        (attributes.perfmon(), "performance counters are on, a side channel"),
    ])
}
