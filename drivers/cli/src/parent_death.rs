//! A command must not outlive the process that holds its lease.

use tokio::process::Command;

/// Has the command killed as soon as this process dies, however it dies.
///
/// The signal follows the *thread* that starts the command, so that must be one that lives as long
/// as the process: the main one.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the one way to run code between fork and exec")]
pub(crate) fn kill_with_parent(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

    let parent = getpid();
    let arm = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before that: then nobody would send the signal.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(std::io::Error::from(rustix::io::Errno::SRCH))
        }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes two
    // plain system calls, takes no lock and allocates nothing: both errors are bare numbers.
    unsafe {
        command.pre_exec(arm);
    }
}

/// Elsewhere the command dies with this process only if that ends in good order.
#[cfg(not(target_os = "linux"))]
pub(crate) fn kill_with_parent(command: &mut Command) {
    command.kill_on_drop(true);
}
