//! The product as two real processes, `cloister-enclave` behind `cloister-host`, on one machine.
//!
//! Starting writes both configurations into the appliance's folder, starts the enclave, waits until the relay reaches
//! it, and reads the one-time enrolment link that a first start leaves there. Dropping an [`Appliance`] kills both.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// How long a start may take. Loading a chat model of a gigabyte from a slow disk is most of it.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a stop may take before it is forced; longer than the drain deadline of both processes.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What to start and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the built binaries.
    pub binaries: PathBuf,
    /// Folder of the configurations, the sealed store and the process logs; made if missing.
    pub data: PathBuf,
    /// Folder of the built page.
    pub web: PathBuf,
    /// Public port of the relay; 0 for any free one.
    pub port: u16,
    /// The embedding model.
    pub embedder: PathBuf,
    /// Catalogue id and file of a chat model; quotation mode without.
    pub generator: Option<Generator>,
    /// Hardware to make evidence with; the development TEE without.
    pub hardware: Option<Hardware>,
    /// Further settings of the enclave, a table's name and a field's name and its value, which replace the sample's.
    pub settings: Vec<([&'static str; 2], toml::Value)>,
    /// The same of the relay.
    pub relay_settings: Vec<([&'static str; 2], toml::Value)>,
}

/// An emulated platform.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// What the configuration calls it, or `auto`.
    pub tee: &'static str,
    /// Where the emulator is mounted.
    pub tsm_report: PathBuf,
    /// The roots that the start trusts in the place of AMD's and Intel's.
    pub trust_roots: Vec<PathBuf>,
}

/// A chat model.
#[derive(Debug, Clone)]
pub struct Generator {
    /// Its id in the catalogue, or any name where `sha256` is given.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// SHA-256, hex, of a model that is not in the catalogue.
    pub sha256: Option<String>,
}

impl Options {
    /// Everything where the scripts in `deploy/` put it, the state in `data`.
    ///
    /// # Errors
    /// If the binaries' folder cannot be told.
    pub fn for_checkout(data: PathBuf) -> anyhow::Result<Self> {
        let root = checkout();
        #[expect(clippy::disallowed_methods, reason = "a test tool, not the product: where the scripts keep models")]
        let models = std::env::var("CLOISTER_MODELS").map_or_else(|_| root.join("var/models"), PathBuf::from);
        Ok(Self {
            binaries: binaries()?,
            data,
            web: root.join("enclave/web/dist"),
            port: 0,
            embedder: models.join("all-minilm-l6-v2-q8_0.gguf"),
            generator: None,
            hardware: None,
            settings: Vec::new(),
            relay_settings: Vec::new(),
        })
    }
}

/// The root of the checkout that this was built from.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// The folder of this build's binaries: where this one lies, or the folder above for a test.
///
/// # Errors
/// If the product was not built.
pub fn binaries() -> anyhow::Result<PathBuf> {
    let me = std::env::current_exe().context("where is this program")?;
    let dir = me.parent().context("a program lies in a folder")?;
    let dir = if dir.ends_with("deps") { dir.parent().context("target folder")? } else { dir };
    ensure!(
        dir.join("cloister-enclave").exists(),
        "{} holds no cloister-enclave: build the workspace first (deploy/test does)",
        dir.display()
    );
    Ok(dir.to_owned())
}

/// A running product.
#[derive(Debug)]
pub struct Appliance {
    options: Options,
    enclave_addr: SocketAddr,
    relay: Child,
    enclave: Child,
    admin: SocketAddr,
}

impl Appliance {
    /// Starts both processes and waits until the enclave serves.
    ///
    /// # Errors
    /// What kept it from starting, with the last lines of the enclave's log.
    pub fn start(mut options: Options) -> anyhow::Result<Self> {
        fs::create_dir_all(&options.data).with_context(|| format!("make {}", options.data.display()))?;
        if options.port == 0 {
            options.port = free_port()?.port();
        }
        let enclave_addr = free_port()?;
        let admin = free_port()?;
        write_configs(&options, enclave_addr, admin)?;
        let enclave = spawn(&options, "cloister-enclave", "enclave.toml", "enclave.log")?;
        let relay = spawn(&options, "cloister-host", "host.toml", "host.log")?;
        let mut appliance = Self { options, enclave_addr, relay, enclave, admin };
        appliance.wait_ready()?;
        Ok(appliance)
    }

    /// The public address, `https://localhost:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.options.port)
    }

    /// The public address as a socket address.
    #[must_use]
    pub fn public_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.options.port))
    }

    /// The relay's metrics and health.
    #[must_use]
    pub const fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The enclave's own port, behind the relay.
    #[must_use]
    pub const fn enclave_addr(&self) -> SocketAddr {
        self.enclave_addr
    }

    /// Process id of the enclave.
    #[must_use]
    pub fn enclave_pid(&self) -> u32 {
        self.enclave.id()
    }

    /// The folder of state and logs.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.options.data
    }

    /// The one-time enrolment link of the first owner; `None` once it was used.
    #[must_use]
    pub fn enrolment_link(&self) -> Option<String> {
        let text = fs::read_to_string(self.options.data.join("owner-enrolment-link")).ok()?;
        Some(text.trim().to_owned()).filter(|t| !t.is_empty())
    }

    /// The code in the enrolment link.
    #[must_use]
    pub fn enrolment_code(&self) -> Option<String> {
        self.enrolment_link()?.rsplit_once("enrol=").map(|(_, code)| code.to_owned())
    }

    /// Kills the enclave without warning, as a power cut would, and waits until it is gone.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill_enclave(&mut self) -> io::Result<()> {
        self.enclave.kill()?;
        self.enclave.wait().map(drop)
    }

    /// Starts the enclave again after [`Self::kill_enclave`] and waits until it serves.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart_enclave(&mut self) -> anyhow::Result<()> {
        self.enclave = spawn(&self.options, "cloister-enclave", "enclave.toml", "enclave.log")?;
        self.wait_ready()
    }

    /// Waits until one of the two processes ends by itself, or `poll` says stop.
    ///
    /// # Errors
    /// If a process ended, with the last lines of its log.
    pub fn watch(&mut self, mut poll: impl FnMut() -> bool) -> anyhow::Result<()> {
        while !poll() {
            for (child, name, log) in
                [(&mut self.enclave, "cloister-enclave", "enclave.log"), (&mut self.relay, "cloister-host", "host.log")]
            {
                if let Some(status) = child.try_wait()? {
                    bail!("{name} ended by itself ({status}):\n{}", tail(&self.options.data.join(log)));
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Stops both cleanly, the relay first so that it drains, and returns their exit codes: relay, enclave.
    ///
    /// # Errors
    /// If one does not stop in time; it is killed then.
    pub fn stop(mut self) -> anyhow::Result<(ExitStatus, ExitStatus)> {
        let relay = terminate(&mut self.relay, "cloister-host")?;
        let enclave = terminate(&mut self.enclave, "cloister-enclave")?;
        Ok((relay, enclave))
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = self.enclave.try_wait()? {
                bail!("cloister-enclave ended ({status}):\n{}", tail(&self.options.data.join("enclave.log")));
            }
            if let Some(status) = self.relay.try_wait()? {
                bail!("cloister-host ended ({status}):\n{}", tail(&self.options.data.join("host.log")));
            }
            // The enclave binds only after it attested itself, so an accepted connection means ready.
            if TcpStream::connect(self.enclave_addr).is_ok() && TcpStream::connect(self.public_addr()).is_ok() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not ready in time:\n{}", tail(&self.options.data.join("enclave.log")));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        for child in [&mut self.relay, &mut self.enclave] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port of this machine that nobody has.
///
/// # Errors
/// If there is none.
pub fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// The sample configurations with this appliance's own paths and ports in them.
fn write_configs(options: &Options, enclave: SocketAddr, admin: SocketAddr) -> anyhow::Result<()> {
    let samples = checkout().join("deploy/config");
    let data = &options.data;
    let mut config: toml::Table = toml::from_str(&fs::read_to_string(samples.join("enclave.development.toml"))?)?;
    let text = |p: &Path| toml::Value::String(p.display().to_string());
    config.insert("public_host".into(), format!("localhost:{}", options.port).into());
    config.insert("listen".into(), enclave.to_string().into());
    config.insert("data_dir".into(), text(&data.join("store")));
    config.insert("web_dir".into(), text(&options.web));
    config.insert("docworker".into(), text(&options.binaries.join("cloister-docworker")));
    set(&mut config, &["root_key", "file"], text(&data.join("root-key.development")));
    set(&mut config, &["models", "embedder", "path"], text(&options.embedder));
    set(&mut config, &["enrolment", "link_file"], text(&data.join("owner-enrolment-link")));
    if let Some(generator) = &options.generator {
        set(&mut config, &["models", "generator", "id"], generator.id.clone().into());
        set(&mut config, &["models", "generator", "path"], text(&generator.path));
        if let Some(sha256) = &generator.sha256 {
            set(&mut config, &["models", "generator", "sha256"], sha256.clone().into());
        }
    }
    if let Some(hardware) = &options.hardware {
        config.insert("tee".into(), hardware.tee.into());
        set(&mut config, &["attestation", "tsm_report"], text(&hardware.tsm_report));
        let roots: Vec<toml::Value> = hardware.trust_roots.iter().map(|root| text(root)).collect();
        set(&mut config, &["attestation", "insecure_trust_roots"], roots.into());
    }
    for (path, value) in &options.settings {
        set(&mut config, path, value.clone());
    }
    fs::write(data.join("enclave.toml"), toml::to_string(&config)?)?;

    let mut config: toml::Table = toml::from_str(&fs::read_to_string(samples.join("host.toml"))?)?;
    set(&mut config, &["inbound", "listen"], format!("127.0.0.1:{}", options.port).into());
    set(&mut config, &["inbound", "upstream"], format!("tcp:{enclave}").into());
    set(&mut config, &["inbound", "max_connections_per_source"], toml::Value::Integer(4_096));
    set(&mut config, &["egress", "listen"], "127.0.0.1:0".into());
    set(&mut config, &["admin", "listen"], admin.to_string().into());
    for (path, value) in &options.relay_settings {
        set(&mut config, path, value.clone());
    }
    fs::write(data.join("host.toml"), toml::to_string(&config)?)?;
    Ok(())
}

/// Sets a nested field, making the tables on the way.
fn set(config: &mut toml::Table, path: &[&str], value: toml::Value) {
    match path {
        [] => (),
        [last] => drop(config.insert((*last).to_owned(), value)),
        [first, rest @ ..] => {
            let table = config.entry((*first).to_owned()).or_insert_with(|| toml::Table::new().into());
            if let Some(table) = table.as_table_mut() {
                set(table, rest, value);
            }
        }
    }
}

fn spawn(options: &Options, program: &str, config: &str, log: &str) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(options.data.join(log))?;
    Command::new(options.binaries.join(program))
        .args(["run", "--config"])
        .arg(options.data.join(config))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {program}"))
}

/// SIGTERM, then the exit code, or SIGKILL when it takes too long.
fn terminate(child: &mut Child, name: &str) -> anyhow::Result<ExitStatus> {
    // The signal goes out by kill(1): the standard library can only send SIGKILL, and `unsafe` is forbidden here.
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    let deadline = Instant::now() + STOP_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    bail!("{name} did not stop within {} s", STOP_TIMEOUT.as_secs())
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}
