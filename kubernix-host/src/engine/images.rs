//! Images that need no registry: the host creates them, and the component that fills `cri` imports
//! them.

use super::Cluster;
use super::bootstrap::PAUSE_IMAGE as STEP;
use super::hooks::{HookError, call_hook};
use super::nodes::NodeError;
use super::planned::Planned;
use crate::control::wire::NodeImages;
use crate::cri_client;
use crate::events::Event;
use crate::images::{self, PAUSE_IMAGE, write_pause_archive};
use crate::process::SpawnError;
use kubernix_core::{Command, ImageBuild, UnixSocket, roles};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;
use tokio::task::JoinError;

/// Why an image can't be built, imported or removed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImageError {
    /// On one instance of the container runtime.
    #[error("{instance}")]
    Instance { instance: String, source: Box<Self> },
    /// For one image of a plan.
    #[error("image {reference}")]
    Image { reference: String, source: Box<Self> },
    /// The runtime rejected a call or failed.
    #[error(transparent)]
    Runtime(#[from] cri_client::Error),
    /// The endpoint of the runtime isn't a unix socket.
    #[error(transparent)]
    Endpoint(kubernix_core::Error),
    /// The image can't be built, or its archive can't be written.
    #[error(transparent)]
    Build(#[from] images::Error),
    /// The thread that builds the image panicked.
    #[error(transparent)]
    Thread(#[from] JoinError),
    /// A hook of the component failed.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The node doesn't run.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A command of the component can't be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// A command of the component failed.
    #[error("{0}")]
    Command(String),
    /// The component has no hook for imports.
    #[error("component `{0}` can't import images")]
    Unsupported(String),
    /// A container uses the image to be removed.
    #[error("container `{0}` uses it: delete its pod first")]
    InUse(String),
    /// The runtime still has the image after its removal.
    #[error("the runtime still has the image after its removal: a container may use it")]
    NotRemoved,
}

impl ImageError {
    /// Adds the name of the instance.
    fn on(planned: &Planned) -> impl Fn(Self) -> Self {
        |source| Self::Instance { instance: planned.name().to_owned(), source: Box::new(source) }
    }
}

impl Cluster {
    /// Imports the pause image on every node that doesn't have it. No pod runs without it, and it
    /// isn't pulled from a registry.
    pub(super) async fn load_pause_image(&self) -> Result<(), ImageError> {
        let runtimes = self.runtimes();
        self.emit(Event::Started { instance: STEP.into() });
        let archive = self.root.images().join("pause.tar");
        for planned in runtimes {
            let client = connect(&planned).await?;
            self.warn_of_missing_images(&client).await?;
            if client.has_image(PAUSE_IMAGE).await? {
                continue;
            }
            write_pause_archive(&archive)?;
            let source = format!("oci-archive:{}", archive.display());
            self.import_into(&planned, &source, PAUSE_IMAGE).await?;
        }
        self.emit(Event::Ready { instance: STEP.into() });
        Ok(())
    }

    /// Builds the images of an instance, and imports them on every node that doesn't have the
    /// current build.
    pub(super) async fn load_builds(&self, planned: &Planned) -> Result<(), ImageError> {
        for image in &planned.instance.plan.builds {
            let built = self.build(image).await?;
            let source = format!("oci:{}", built.layout.display());
            let reference = image.reference.clone();
            let imported = self.import_where_missing(self.runtimes(), &source, &reference, &built.id).await;
            imported.map_err(|source| ImageError::Image { reference, source: Box::new(source) })?;
        }
        Ok(())
    }

    /// Builds an image on its own thread, because hashing and copying block.
    async fn build(&self, image: &ImageBuild) -> Result<images::Built, ImageError> {
        let (directory, image) = (self.boot().environment.image_cache.clone(), image.clone());
        Ok(tokio::task::spawn_blocking(move || images::ensure(&directory, &image)).await??)
    }

    /// Warns of images of the plans that the runtime doesn't have, and which pods therefore pull
    /// from a registry.
    async fn warn_of_missing_images(&self, client: &cri_client::Client) -> Result<(), cri_client::Error> {
        let instances = self.instances();
        let images = instances.iter().flat_map(|planned| &planned.instance.plan.images);
        for image in images.filter(|image| *image != PAUSE_IMAGE) {
            if !client.has_image(image).await? {
                let message = format!("image {image} isn't loaded: pods that need it pull it from its registry");
                self.emit(Event::Warning { message });
            }
        }
        Ok(())
    }

    /// Imports an image of an archive (`oci-archive:PATH`, `docker-archive:PATH` or `oci:PATH`) on
    /// every node that doesn't have an image with this name and ID. Returns the nodes that imported
    /// it.
    pub(super) async fn import(&self, archive: &str, name: &str, id: &str) -> Result<Vec<String>, ImageError> {
        self.import_where_missing(self.runtimes(), archive, name, id).await
    }

    async fn import_where_missing(
        &self,
        runtimes: Vec<Rc<Planned>>,
        archive: &str,
        name: &str,
        id: &str,
    ) -> Result<Vec<String>, ImageError> {
        let import = async |planned: &Rc<Planned>| {
            let import = self.import_if_missing(planned, archive, name, id).await;
            import.map_err(ImageError::on(planned))
        };
        // One instance of each component goes first, because the others may share its store and
        // then have the image.
        let mut imported = Vec::new();
        let (mut first, mut others) = (BTreeMap::new(), Vec::new());
        for planned in &runtimes {
            match first.entry(planned.instance.component.as_str()) {
                Entry::Vacant(entry) => drop(entry.insert(planned)),
                Entry::Occupied(_) => others.push(planned),
            }
        }
        for planned in first.into_values() {
            imported.extend(import(planned).await?);
        }
        let imports = others.into_iter().map(import);
        imported.extend(futures_util::future::try_join_all(imports).await?.into_iter().flatten());
        imported.sort();
        Ok(imported)
    }

    /// Returns the node if it imported the image.
    async fn import_if_missing(
        &self,
        planned: &Planned,
        archive: &str,
        name: &str,
        id: &str,
    ) -> Result<Option<String>, ImageError> {
        let found = connect(planned).await?.image_id(name).await?;
        if found.as_deref() == Some(id.trim_start_matches("sha256:")) {
            return Ok(None);
        }
        self.import_into(planned, archive, name).await?;
        Ok(Some(node(planned)))
    }

    /// Removes an image on every node. Returns the nodes that had it.
    pub(super) async fn remove_image(&self, name: &str) -> Result<Vec<String>, ImageError> {
        let runtimes = self.runtimes();
        // All nodes are checked before the first removal: nodes may share a store, and a container
        // of one node may use the image of another.
        let mut clients = Vec::new();
        for planned in &runtimes {
            let client = client_with_unused_image(planned, name).await.map_err(ImageError::on(planned))?;
            clients.extend(client.map(|client| (planned, client)));
        }
        for (planned, client) in &clients {
            self.remove_from(planned, client, name).await.map_err(ImageError::on(planned))?;
        }
        Ok(clients.into_iter().map(|(planned, _)| node(planned)).collect())
    }

    async fn remove_from(&self, planned: &Planned, client: &cri_client::Client, name: &str) -> Result<(), ImageError> {
        client.remove_image(name).await?;
        if client.has_image(name).await? {
            self.remove_imported(planned, name).await?;
        }
        Ok(())
    }

    /// The images of every node.
    pub(super) async fn images(&self) -> Result<Vec<NodeImages>, ImageError> {
        let mut all = Vec::new();
        for planned in self.runtimes() {
            let images = connect(&planned).await?.images().await?;
            all.push(NodeImages { node: node(&planned), images: images.into_iter().map(Into::into).collect() });
        }
        Ok(all)
    }

    fn runtimes(&self) -> Vec<Rc<Planned>> {
        self.instances().into_iter().filter(|planned| !planned.is_off() && planned.fills(roles::CRI)).collect()
    }

    async fn import_into(&self, planned: &Planned, archive: &str, name: &str) -> Result<(), ImageError> {
        let (component, context) = (planned.instance.registered.clone(), planned.instance.context.clone());
        let (archive, name) = (archive.to_owned(), name.to_owned());
        let command = call_hook(move || component.import_image(&context, archive, name)).await?;
        let command = command.ok_or_else(|| ImageError::Unsupported(planned.instance.component.clone()))?;
        self.run_hook(planned, &command).await
    }

    async fn remove_imported(&self, planned: &Planned, name: &str) -> Result<(), ImageError> {
        let (component, context) = (planned.instance.registered.clone(), planned.instance.context.clone());
        let name = name.to_owned();
        match call_hook(move || component.remove_image(&context, name)).await? {
            Some(command) => self.run_hook(planned, &command).await,
            None => Err(ImageError::NotRemoved),
        }
    }

    async fn run_hook(&self, planned: &Planned, command: &Command) -> Result<(), ImageError> {
        let spawner = self.spawner_of(planned)?;
        let output = match self.api_role() {
            // An import can keep two cores busy. While the API server starts, it gets only idle CPU
            // time.
            Some(at) => spawner.run_idle(command, self.readiness.wait(&at)).await?,
            None => spawner.output(command).await?,
        };
        if output.code == 0 { Ok(()) } else { Err(ImageError::Command(output.stderr.trim().to_owned())) }
    }
}

fn node(planned: &Planned) -> String {
    planned.instance.node.clone().unwrap_or_default()
}

async fn connect(planned: &Planned) -> Result<cri_client::Client, ImageError> {
    let url = planned.endpoint(roles::CRI).map(|endpoint| endpoint.url.as_str());
    let socket = UnixSocket::from_url(url.unwrap_or_default()).map_err(ImageError::Endpoint)?;
    Ok(cri_client::Client::connect(socket.path()).await?)
}

/// A client of a runtime that has the image, or `None` if it doesn't have it.
///
/// # Errors
/// A container uses the image, or a call failed.
async fn client_with_unused_image(planned: &Planned, name: &str) -> Result<Option<cri_client::Client>, ImageError> {
    let client = connect(planned).await?;
    let Some(id) = client.image_id(name).await? else { return Ok(None) };
    match client.container_of(&id).await? {
        Some(container) => Err(ImageError::InUse(container)),
        None => Ok(Some(client)),
    }
}
