//! The binary: a supervisor of one run where it is started as such, the command line otherwise.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == authy_mcp::SUPERVISE) {
        return authy_mcp::supervise();
    }
    authy_mcp::main()
}
