//! Disks for tests that can be full, stand still, or lose their power. They need root; where a test
//! cannot have one, it says so loudly and tries nothing.
//!
//! A power cut is what ext4 makes of its shutdown call: from that moment every call fails, and what
//! was not synced is not there after the next mount. It models neither a cache in the disk nor torn
//! sectors.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tieline_store::SpaceGuard;

use crate::process::eventually;

/// `EXT4_IOC_SHUTDOWN` without flushing the journal.
const SHUTDOWN: &str = "import fcntl,os,struct,sys
fd=os.open(sys.argv[1],os.O_RDONLY)
fcntl.ioctl(fd,(2<<30)|(4<<16)|(ord('X')<<8)|125,struct.pack('I',2))";
/// The file that fills a disk.
const BALLAST: &str = "ballast";
/// How much of it is written at once.
const CHUNK: usize = 64 << 10;

/// A file system of its own.
pub struct Disk {
    // The image lies beside the mount point, on the machine's own disk.
    desk: TempDir,
    ext4: bool,
    mounted: bool,
}

impl Disk {
    /// An ext4 of so many MiB on a loop device; `None` where there is no root.
    #[must_use]
    pub fn ext4(mib: u64) -> Option<Self> {
        let disk = Self::new(true);
        let image = File::create(disk.image()).expect("an image");
        image.set_len(mib << 20).expect("an image");
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), disk.image().as_ref()]).ok()?;
        disk.mount_or_say()
    }

    /// A tmpfs of so many MiB; `None` where there is no root.
    #[must_use]
    pub fn tmpfs(mib: u64) -> Option<Self> {
        let mut disk = Self::new(false);
        let size = format!("size={mib}m");
        let mounted = run(
            "mount",
            &[
                "-t".as_ref(),
                "tmpfs".as_ref(),
                "-o".as_ref(),
                size.as_ref(),
                "none".as_ref(),
                disk.path().as_ref(),
            ],
        );
        disk.mounted = mounted.is_ok();
        disk.or_say(mounted)
    }

    fn new(ext4: bool) -> Self {
        let desk = tempfile::tempdir().expect("a directory");
        fs::create_dir(desk.path().join("disk")).expect("a mount point");
        Self { desk, ext4, mounted: false }
    }

    fn mount_or_say(mut self) -> Option<Self> {
        let mounted = self.mount();
        self.or_say(mounted)
    }

    fn or_say(self, mounted: Result<(), String>) -> Option<Self> {
        match mounted {
            Ok(()) => Some(self),
            Err(said) => {
                eprintln!("\n*** SKIPPED, nothing was tested: no disk can be mounted here ({})", said.trim());
                None
            }
        }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.desk.path().join("disk")
    }

    fn image(&self) -> PathBuf {
        self.desk.path().join("image")
    }

    fn mount(&mut self) -> Result<(), String> {
        run("mount", &["-o".as_ref(), "loop".as_ref(), self.image().as_ref(), self.path().as_ref()])?;
        self.mounted = true;
        Ok(())
    }

    /// The power of an ext4 goes: whatever was not synced is lost, and every call fails.
    pub fn cut_power(&self) {
        let ran = run("python3", &["-c".as_ref(), SHUTDOWN.as_ref(), self.path().as_ref()]);
        ran.unwrap_or_else(|said| panic!("the power was not cut: {said}"));
    }

    /// The power is back. Nobody may have files open: they are waited for.
    pub fn restore_power(&mut self) {
        assert!(self.ext4, "a tmpfs loses everything with its power");
        let path = self.path();
        eventually("a disk that nobody uses", || run("umount", &[path.as_ref()]).ok());
        self.mounted = false;
        self.mount().expect("mounted again");
    }

    /// The disk of an ext4 stands still for so long. The end is arranged first, and by another
    /// process: whoever writes now waits for it, this one perhaps included.
    #[must_use]
    pub fn hang(&self, how_long: Duration) -> Hang {
        let path = self.path();
        let thaw = format!("sleep {}; exec fsfreeze -u \"$0\"", how_long.as_secs_f64());
        let thaw = Command::new("sh").args(["-c".as_ref(), thaw.as_ref(), path.as_os_str()]).spawn();
        let hang = Hang(thaw.expect("a shell"));
        run("fsfreeze", &["-f".as_ref(), path.as_ref()]).unwrap_or_else(|said| panic!("not frozen: {said}"));
        hang
    }

    /// Fills the disk until only so many bytes are left.
    pub fn fill(&self, leave: u64) {
        let guard = SpaceGuard::new(&self.path(), 0);
        let mut ballast =
            File::options().create(true).append(true).open(self.path().join(BALLAST)).expect("ballast");
        loop {
            let free = guard.free_bytes().expect("free space");
            let more = usize::try_from(free.saturating_sub(leave)).unwrap_or(CHUNK).min(CHUNK);
            // A disk that is full says so; that was the aim.
            if more == 0 || ballast.write_all(&vec![0x5a; more]).is_err() || ballast.sync_data().is_err() {
                return;
            }
        }
    }

    /// Takes the filling away.
    pub fn free(&self) {
        fs::remove_file(self.path().join(BALLAST)).expect("ballast");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // A test that failed may still have daemons on it; they end without it.
            run("fsfreeze", &["-u".as_ref(), self.path().as_ref()]).ok();
            run("umount", &["-l".as_ref(), self.path().as_ref()]).ok();
        }
    }
}

/// A disk that stands still until its time is over.
pub struct Hang(Child);

impl Hang {
    /// Waits until it goes on.
    pub fn wait(mut self) {
        assert!(self.0.wait().expect("a shell").success(), "the disk was not thawed");
    }
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> Result<(), String> {
    let ran = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| format!("{program}: {error}"))?;
    if ran.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ran.stderr).into_owned()) }
}

/// Whether any file below `path` holds `text` as it is.
#[must_use]
pub fn holds(path: &Path, text: &str) -> bool {
    let Ok(entries) = fs::read_dir(path) else {
        return fs::read(path).is_ok_and(|bytes| contains(&bytes, text));
    };
    entries.flatten().any(|entry| holds(&entry.path(), text))
}

/// Whether bytes hold `text`.
#[must_use]
pub fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
