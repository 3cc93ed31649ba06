//! A TPM in software, set up with the tools that others use: what our client understands of it is thereby compared with
//! what they do.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const INDEX: &str = "0x01400001";
const KEY: &str = "0x81000003";
/// A key that signs only what the TPM itself has made, as Azure's is.
const KEY_ATTRIBUTES: &str = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign";

/// A running TPM; it ends with the test.
pub(crate) struct SoftwareTpm {
    folder: TempDir,
    process: Child,
}

impl SoftwareTpm {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "startup-clear,not-need-init"])
            .args(["--tpmstate", &format!("dir={}", folder.path().display())])
            .args(["--server", &format!("type=unixio,path={}", path("tpm"))])
            .args(["--ctrl", &format!("type=unixio,path={}", path("tpm.ctrl"))])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("swtpm is needed; deploy/test installs it");
        let own = Self { folder, process };
        let deadline = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(own.path()).is_err() {
            assert!(Instant::now() < deadline, "swtpm does not start");
            thread::yield_now();
        }
        own
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("tpm")
    }

    /// Makes the attestation key and gives its modulus.
    pub(crate) fn make_key(&self) -> Vec<u8> {
        let key = ["-G", "rsa2048:rsassa-sha256:null", "-g", "sha256", "-a", KEY_ATTRIBUTES, "-c", "ak"];
        self.tool("createprimary", &[["-C", "e"].as_slice(), &key].concat());
        self.tool("evictcontrol", &["-C", "o", "-c", "ak", KEY]);
        self.tool("readpublic", &["-c", KEY, "-f", "tpmt", "-o", "public"]);
        let public = fs::read(self.folder.path().join("public")).unwrap();
        // The modulus is what a TPMT_PUBLIC ends with.
        public[public.len() - 256..].to_vec()
    }

    /// Defines the index in which Azure keeps its report.
    pub(crate) fn define(&self, size: usize, attributes: &str) {
        self.tool("nvdefine", &["-C", "o", "-s", &size.to_string(), "-a", attributes, INDEX]);
    }

    pub(crate) fn undefine(&self) {
        self.tool("nvundefine", &["-C", "o", INDEX]);
    }

    pub(crate) fn write(&self, content: &[u8]) {
        fs::write(self.folder.path().join("content"), content).unwrap();
        self.tool("nvwrite", &["-C", "o", "-i", "content", INDEX]);
    }

    /// Defines the index anew and writes `content` to it.
    pub(crate) fn replace(&self, content: &[u8]) {
        self.undefine();
        self.define(content.len(), "ownerwrite|ownerread");
        self.write(content);
    }

    pub(crate) fn extend(&self, pcr: u8, digest: &[u8; 32]) {
        self.tool("pcrextend", &[&format!("{pcr}:sha256={}", hex::encode(digest))]);
    }

    /// All SHA-256 registers, one behind the other, as the tools read them.
    pub(crate) fn pcrs(&self) -> Vec<u8> {
        self.tool("pcrread", &["sha256:all", "-o", "pcrs"]);
        fs::read(self.folder.path().join("pcrs")).unwrap()
    }

    fn tool(&self, name: &str, arguments: &[&str]) {
        let run = Command::new("tpm2")
            .arg(name)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TPM2TOOLS_TCTI", format!("swtpm:path={}", self.path().display()))
            .output()
            .expect("tpm2-tools is needed; deploy/test installs it");
        assert!(run.status.success(), "tpm2 {name} {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

impl Drop for SoftwareTpm {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).map(drop).unwrap_or_default();
    }
}
