//! Loads a shared library as a plugin. Checks the file, its header and its types before it calls
//! the library.
//!
//! A library stays loaded until this process ends. This module must not know where files come from,
//! nor what components are for.

use super::elf::{self, ElfError};
use super::layout;
use abi_stable::StableAbi;
use abi_stable::library::{
    AbiHeader, AbiHeaderRef, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL, RootModule, RootModuleError,
};
use abi_stable::sabi_types::VersionNumber;
use kubernix_core::abi::{About, Handle, PluginRef, host_log};
use kubernix_core::{Error, abi_stable};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Which file (device, inode) each loaded header came from, by the header's address.
static FILES: Mutex<BTreeMap<usize, (u64, u64)>> = Mutex::new(BTreeMap::new());

/// The component of a library.
pub struct Loaded {
    /// The component.
    pub handle: Handle,
    /// The plugin's own version.
    pub version: String,
    /// The metadata of its crate.
    pub about: About,
    /// The version of the contract that it was built with.
    pub contract: String,
}

/// Why a file isn't loaded.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", .path.display())]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: LoadProblem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum LoadProblem {
    /// It isn't a library for this machine.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// The dynamic linker rejects it.
    #[error("can't be loaded: {0}")]
    Linker(String),
    /// It isn't a plugin.
    #[error("is a shared library but not a plugin (it exports no plugin header)")]
    NoHeader,
    /// Its header is of another version of abi_stable.
    #[error("built with abi_stable ABI {}.{}, this host needs {}.{}", .theirs.0, .theirs.1, .ours.0, .ours.1)]
    OtherAbi {
        /// The plugin's major and minor version.
        theirs: (u32, u32),
        /// The host's major and minor version.
        ours: (u32, u32),
    },
    /// It is a plugin of another program.
    #[error("is a plugin of another program ({0})")]
    OtherProgram(String),
    /// It was built for another major version of the contract.
    #[error("built for plugin interface {theirs}, this host has {ours}: the major versions must be equal")]
    OtherMajor {
        /// The plugin's version.
        theirs: VersionNumber,
        /// The host's version.
        ours: VersionNumber,
    },
    /// Its types differ from the host's.
    #[error("built for plugin interface {theirs}, this host has {ours}, and the two disagree: {}", .differences.join("; "))]
    OtherLayout {
        /// The plugin's version.
        theirs: VersionNumber,
        /// The host's version.
        ours: VersionNumber,
        /// The differences.
        differences: Vec<String>,
    },
    /// It was loaded before, and the file was replaced since. The dynamic linker goes by the path
    /// and would return the old library.
    #[error("was replaced after this process loaded it: what is loaded stays until the process ends, so restart it")]
    Replaced,
    /// It was loaded, but its component can't be created.
    #[error("doesn't start: {0}")]
    Broken(String),
}

/// Loads a plugin and creates its component.
///
/// # Errors
/// See [`LoadProblem`]. None of them ends this process.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    try_load(path).map_err(|problem| LoadError { path: path.to_owned(), problem })
}

fn try_load(path: &Path) -> Result<Loaded, LoadProblem> {
    // The linker would search the system's directories for a bare name.
    let path = &std::path::absolute(path).map_err(ElfError::from)?;
    elf::check(path)?;
    let header = header(path)?.upgrade().map_err(|error| match error {
        LibraryError::InvalidAbiHeader(theirs) => {
            let ours = AbiHeader::VALUE;
            let pair = |header: AbiHeader| (header.abi_major, header.abi_minor);
            LoadProblem::OtherAbi { theirs: pair(theirs), ours: pair(ours) }
        }
        other => LoadProblem::Broken(other.to_string()),
    })?;
    let program = header.root_mod_consts().name();
    if program.as_str() != PluginRef::NAME {
        return Err(LoadProblem::OtherProgram(program.as_str().to_owned()));
    }
    let broken = |error: abi_stable::sabi_types::ParseVersionError| LoadProblem::Broken(error.to_string());
    let theirs = VersionNumber::new(header.version_strings()).map_err(broken)?;
    let ours = VersionNumber::new(PluginRef::VERSION_STRINGS).map_err(broken)?;
    if theirs.major != ours.major {
        return Err(LoadProblem::OtherMajor { theirs, ours });
    }
    let layout = header.layout().ok_or_else(|| LoadProblem::Broken("it carries no type layout".into()))?;
    let is_older = (theirs.minor, theirs.patch) < (ours.minor, ours.patch);
    layout::compare(<PluginRef as StableAbi>::LAYOUT, layout, is_older)
        .map_err(|differences| LoadProblem::OtherLayout { theirs, ours, differences })?;
    // SAFETY: the layouts of the module and of all types that it reaches have just been compared.
    let module = unsafe { header.unchecked_layout::<PluginRef>() }.map_err(|error| match error {
        RootModuleError::Returned(error) => LoadProblem::Broken(error.to_string()),
        RootModuleError::Unwound => LoadProblem::Broken("it panicked".into()),
    })?;
    module.join()(host_log());
    let component = module.component()().into_result();
    let component = component.map_err(|error| LoadProblem::Broken(Error::from(error).frames().join(": ")))?;
    let (version, contract) = (module.version().to_string(), theirs.to_string());
    Ok(Loaded { handle: Handle::from(component), version, about: module.about(), contract })
}

/// The header that every plugin exports. All symbols are bound at once, so that the error names a
/// missing one.
fn header(path: &Path) -> Result<AbiHeaderRef, LoadProblem> {
    let file = std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).map_err(ElfError::from)?;
    // SAFETY: this runs the library's initialisers: the user installed it for that.
    // `elf::check` rejected files that would end this process, and the caller files that others
    // could have written.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| LoadProblem::Linker(linker_message(&error, path)))?;
    // SAFETY: under this name a library exports abi_stable's header. Only its first part is read
    // before `upgrade`, and that part never changes.
    let header = unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) };
    let header = header.map(|symbol| (*symbol, symbol.as_raw_ptr().addr())).map_err(|_| LoadProblem::NoHeader);
    // Components point into the library as long as this process lives.
    std::mem::forget(library);
    let (header, address) = header?;
    let mut known = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    if *known.entry(address).or_insert(file) == file { Ok(header) } else { Err(LoadProblem::Replaced) }
}

/// The dynamic linker's message, without the path: `LoadError` prints it already.
fn linker_message(error: &libloading::Error, path: &Path) -> String {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let text = chain.last().map(ToString::to_string).unwrap_or_default();
    let prefix = format!("{}: ", path.display());
    text.strip_prefix(&prefix).unwrap_or(&text).to_owned()
}
