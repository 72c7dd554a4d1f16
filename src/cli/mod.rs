//! What the user types and reads: commands, their output, and embedded mode.
//!
//! A verb is one file in [`verbs`]; it reads manifests, opens what it needs ([`embedded`]), and prints a document ([`document`]) in the shape
//! the user asked for ([`output`]). Every way to end is an [`Exit`] code.
//! Deliberately absent: decisions. What runs, and when, is `core`'s.

pub(crate) mod arguments;
pub(crate) mod bench;
pub(crate) mod completion;
pub(crate) mod document;
pub(crate) mod embedded;
mod error;
mod exit;
pub(crate) mod generate;
mod labels;
pub(crate) mod limits;
pub(crate) mod manifests;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod refusal;
pub(crate) mod selection;
mod simulate;
pub(crate) mod suggest;
pub(crate) mod verbs;

pub(crate) use error::CliError;
pub(crate) use exit::Exit;

use arguments::{Arguments, Command};
use output::Output;

/// The resource set of the manifests of an embedded run.
const SET: &str = "default";

/// Carries a command out and says how it ended; errors are reported on stderr.
pub(crate) async fn run(arguments: Arguments) -> Exit {
    let options = arguments.output;
    let output = Output::new(options.output, options.color, options.quiet);
    let done = match arguments.command {
        Command::Deploy(options) => verbs::deploy::run(options, output).await,
        Command::DryRun(options) => verbs::dry_run::run(options, output).await,
        Command::Repair(options) => verbs::repair::run(options, output).await,
        Command::Run(options) => verbs::run::run(options, output).await,
        Command::Status(options) => verbs::status::run(options, output).await,
        Command::Show(options) => verbs::show::run(options, output).await,
        Command::Facts(options) => verbs::facts::run(options, output).await,
        Command::History(options) => verbs::history::run(options, output).await,
        Command::Logs(options) => verbs::logs::run(options, output).await,
        Command::Diff(options) => verbs::diff::run(options, output).await,
        Command::Why(options) => verbs::why::run(options, output).await,
        Command::Rollback(options) => verbs::rollback::run(options, output).await,
        Command::Delete(options) => verbs::delete::run(options, output).await,
        Command::Forget(options) => verbs::forget::run(options, output).await,
        Command::Suspend(options) => verbs::suspend::suspend(options, output).await,
        Command::Resume(options) => verbs::suspend::resume(options, output).await,
        Command::Cancel(options) => verbs::cancel::run(options, output).await,
        Command::Clear(options) => verbs::environment::clear(options, output).await,
        Command::Compliance(options) => verbs::compliance::run(options, output).await,
        Command::Audit(options) => verbs::audit::run(options, output).await,
        Command::Check(options) => verbs::check::run(options, output).await,
        Command::Environments(options) => verbs::environments::run(options, output).await,
        Command::Types(options) => verbs::types::run(&options, output),
        Command::Completion(options) => completion::run(options),
        Command::Operator(options) => crate::app::operator(*options).await,
        Command::Executor(options) => crate::app::executor(options).await,
        Command::Generate(options) => generate::run(&options),
        Command::Simulate(options) => simulate::run(&options, output),
        Command::Bench(options) => bench::run(options, output).await,
    };
    done.unwrap_or_else(|error| {
        output::tell(format_args!("{} {}", console::style("error:").red().bold().for_stderr(), error.report()));
        error.exit()
    })
}
