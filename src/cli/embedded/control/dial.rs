//! The side of a command: finds the process that holds the data folder, gives it orders, reads its answers. A connection lasts for one order.

use super::{Answer, CONTROL_AT_ONCE, CONTROL_LOOK, CONTROL_OPENING, CONTROL_PATIENCE, ORDER_BYTES, Order, SOCKET};
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::embedded::{EmbeddedError, Place, away};
use crate::cli::output::{Output, tell};
use crate::core::Name;
use crate::history::private_server::FolderLock;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// The process that holds the data folder, and takes orders.
pub(crate) struct Control {
    folder: Arc<File>,
    shown: PathBuf,
    process: u32,
    environments: Vec<Name>,
    /// Announced, and not begun.
    opening: Vec<Name>,
    /// Ended by an order, and not run again since.
    ended: Vec<Name>,
}

/// The answers to one order.
pub(crate) struct Answers {
    lines: BufReader<OwnedReadHalf>,
    /// The other side takes the end of this one for a command that has gone.
    _open: OwnedWriteHalf,
}

impl Control {
    /// Looks for such a process; `None` where none takes orders. One that is just opening the folder or an environment, or closing it, is waited for.
    pub(crate) async fn reach(options: &StateOptions, output: Output) -> Result<Option<Self>, CliError> {
        let began = Instant::now();
        let mut told = false;
        loop {
            let control = Self::look(options).await?;
            let opening = match &control {
                Some(ready) if ready.opening.is_empty() => return Ok(control),
                Some(control) => Some((control.holder(), format!("is just opening {}", list(&control.opening)))),
                None => FolderLock::opener(&options.data_dir)
                    .map(|holder| (holder, "is just opening or closing it".to_owned())),
            };
            let Some((holder, does)) = opening.filter(|_| began.elapsed() < CONTROL_OPENING) else {
                return Ok(control);
            };
            if !told && began.elapsed() > CONTROL_AT_ONCE {
                told = true;
                let folder = options.data_dir.display();
                output.note(&format!("waiting for {holder}: it holds {folder}, and {does}"));
            }
            tokio::time::sleep(CONTROL_LOOK).await;
        }
    }

    async fn look(options: &StateOptions) -> Result<Option<Self>, CliError> {
        let Ok(folder) = File::open(&options.data_dir) else { return Ok(None) };
        let folder = Arc::new(folder);
        let nobody = |error: &std::io::Error| {
            matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory)
        };
        let mut answers = match send(&folder, &Order::Hello {}).await {
            Ok(answers) => answers,
            // One that was killed leaves its socket behind.
            Err(error) if nobody(&error) => return Ok(None),
            Err(source) => return Err(EmbeddedError::Control { folder: options.data_dir.clone(), source }.into()),
        };
        let hello = tokio::time::timeout(CONTROL_PATIENCE, answers.next()).await.map_err(|_| silent())?;
        let (process, environments, opening, ended) = match hello? {
            Answer::Hello { process, release, private, environments, opening, ended } => {
                check(process, &release, private, options)?;
                (process, environments, opening, ended)
            }
            other => return Err(other.unexpected()),
        };
        Ok(Some(Self { folder, shown: options.data_dir.clone(), process, environments, opening, ended }))
    }

    /// The process, for people.
    pub(crate) fn holder(&self) -> String {
        format!("process {}", self.process)
    }

    /// Whether it runs this environment.
    pub(crate) fn runs(&self, environment: &str) -> bool {
        self.environments.iter().any(|known| **known == *environment)
    }

    /// The environment that is meant, where the process runs it.
    pub(crate) async fn environment(&self, options: &StateOptions) -> Result<Option<Name>, CliError> {
        let place = Place::beside(options).await?;
        let meant = place.environment(options.environment.as_deref(), None).await;
        place.close().await?;
        Ok(Some(meant?).filter(|meant| self.runs(meant)))
    }

    /// Refuses an environment that the process does not run: nobody else can, as long as it holds the folder.
    pub(crate) fn expect(&self, environment: &str) -> Result<(), CliError> {
        if self.runs(environment) {
            return Ok(());
        }
        if self.ended.iter().any(|ended| **ended == *environment) {
            let message = format!(
                "environment {environment} was ended, and process {} runs it no more, though its files still declare it\n  \
                 change what they say of {environment}, or start that `homeostat run` again: then it begins anew",
                self.process
            );
            return Err(EmbeddedError::Beside { message }.into());
        }
        let runs = if self.environments.is_empty() { "none right now".to_owned() } else { list(&self.environments) };
        let message = format!(
            "process {} holds {} and does not run environment {environment}; it runs: {runs}\n  \
             declare {environment} in the files of that `homeostat run`, or stop it",
            self.process,
            self.shown.display()
        );
        Err(EmbeddedError::Beside { message }.into())
    }

    /// Has an environment given up and forgotten; `empty`: only where nothing of it is left. Whether the files of the process still declare it.
    pub(crate) async fn end(&self, environment: &Name, empty: bool) -> Result<bool, CliError> {
        match self.order(&Order::End { environment: environment.clone(), empty }).await? {
            Answer::Ended { declared } => Ok(declared),
            other => Err(other.unexpected()),
        }
    }

    /// Gives an order, and waits for its answer.
    pub(crate) async fn order(&self, order: &Order) -> Result<Answer, CliError> {
        match self.stream(order).await?.next().await? {
            refused @ Answer::Refused { .. } => Err(refused.unexpected()),
            answer => Ok(answer),
        }
    }

    /// Gives an order that is answered by several lines.
    pub(crate) async fn stream(&self, order: &Order) -> Result<Answers, CliError> {
        let failed = |source| EmbeddedError::Control { folder: self.shown.clone(), source };
        Ok(send(&self.folder, order).await.map_err(failed)?)
    }
}

impl Answers {
    /// The next one. Why it takes long is told.
    pub(crate) async fn next(&mut self) -> Result<Answer, CliError> {
        loop {
            match self.line().await? {
                Answer::Away { reason } => tell(away::told(&reason, false)),
                Answer::Back => tell(away::BACK),
                answer => return Ok(answer),
            }
        }
    }

    /// What the process says is not bounded: it is ours.
    async fn line(&mut self) -> Result<Answer, CliError> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).await?;
        if read == 0 {
            let text = "the process that holds the data folder has ended meanwhile; what it has recorded is not lost";
            return Err(CliError::Scheduler(text.to_owned()));
        }
        serde_json::from_str(&line).map_err(|error| {
            CliError::Defect(format!("the process that holds the data folder cannot be understood: {error}"))
        })
    }
}

fn list(names: &[Name]) -> String {
    names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ")
}

fn silent() -> CliError {
    let text =
        format!("the process that holds the data folder does not answer within {} s", CONTROL_PATIENCE.as_secs());
    CliError::Scheduler(text)
}

fn check(process: u32, release: &str, private: bool, options: &StateOptions) -> Result<(), CliError> {
    let own = env!("CARGO_PKG_VERSION");
    if release != own {
        return Err(EmbeddedError::Beside {
            message: format!(
                "process {process} is homeostat {release}, and this is {own}: use the same release, or restart it"
            ),
        }
        .into());
    }
    if private != options.database_url.is_none() {
        let with = if private { "without --database-url" } else { "with --database-url" };
        return Err(CliError::Usage(format!(
            "process {process} holds this data folder, and was started {with}: say the same here"
        )));
    }
    Ok(())
}

async fn send(folder: &File, order: &Order) -> std::io::Result<Answers> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    if line.len() > ORDER_BYTES {
        let text = format!("the order is longer than {ORDER_BYTES} bytes; give fewer manifests at a time");
        return Err(std::io::Error::new(ErrorKind::InvalidInput, text));
    }
    let stream = UnixStream::connect(socket_in(folder)).await?;
    let (reader, mut writer) = stream.into_split();
    writer.write_all(&line).await?;
    Ok(Answers { lines: BufReader::new(reader), _open: writer })
}

/// A path to the socket that is short, however long the folder's is: `sockaddr_un` takes about a hundred bytes.
pub(super) fn socket_in(folder: &File) -> PathBuf {
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(SOCKET)
}
