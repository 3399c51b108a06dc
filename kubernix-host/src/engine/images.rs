//! Images without a registry: made by the host, imported in the runtime component's own way.

use super::Cluster;
use super::hooks::in_thread;
use super::planned::Planned;
use super::steps::PAUSE_IMAGE as STEP;
use crate::control::NodeImages;
use crate::cri;
use crate::events::Event;
use crate::images::{self, PAUSE_IMAGE, write_pause_archive};
use kubernix_core::{Command, ImageBuild, UnixSocket, roles};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

impl Cluster {
    /// Sees that the pause image is in every node's store: without it no pod runs, and no registry
    /// is asked for it.
    pub(super) async fn load_pause_image(&self) -> Result<(), String> {
        let runtimes = self.runtimes();
        self.emit(Event::Started { instance: STEP.into() });
        let archive = self.root.images().join("pause.tar");
        for planned in runtimes {
            let client = connect(&planned).await?;
            self.say_missing(&client).await.map_err(|error| error.to_string())?;
            if client.has_image(PAUSE_IMAGE).await.map_err(|error| error.to_string())? {
                continue;
            }
            write_pause_archive(&archive).map_err(|error| error.to_string())?;
            let source = format!("oci-archive:{}", archive.display());
            self.import_into(&planned, &source, PAUSE_IMAGE).await?;
        }
        self.emit(Event::Ready { instance: STEP.into() });
        Ok(())
    }

    /// Builds the images that an instance's pods need, and sees that every node's store has them as
    /// they are now.
    pub(super) async fn load_builds(&self, planned: &Planned) -> Result<(), String> {
        for image in &planned.instance.plan.builds {
            let built = self.build(image).await?;
            let source = format!("oci:{}", built.layout.display());
            let imported = self.import_where_missing(self.runtimes(), &source, &image.reference, &built.id).await;
            imported.map_err(|why| format!("image {}: {why}", image.reference))?;
        }
        Ok(())
    }

    /// Hashing and copying take their time: on a thread of their own.
    async fn build(&self, image: &ImageBuild) -> Result<images::Built, String> {
        let (directory, image) = (self.boot().environment.image_cache.clone(), image.clone());
        let built = tokio::task::spawn_blocking(move || images::ensure(&directory, &image)).await;
        built.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Says which images of the plans are in no store, and so come from their registry once a pod
    /// needs them.
    async fn say_missing(&self, client: &cri::Client) -> Result<(), cri::Error> {
        let instances = self.instances();
        let wanted = instances.iter().flat_map(|planned| &planned.instance.plan.images);
        for image in wanted.filter(|image| *image != PAUSE_IMAGE) {
            if !client.has_image(image).await? {
                self.emit(Event::Warning {
                    message: format!("image {image} is in no store: pods that need it pull it"),
                });
            }
        }
        Ok(())
    }

    /// Imports an image of an archive (`oci-archive:PATH`, `docker-archive:PATH` or `oci:PATH`)
    /// into the store of every node that has no such image of this ID under this name. Returns the
    /// nodes that got it.
    pub(super) async fn import(&self, archive: &str, name: &str, id: &str) -> Result<Vec<String>, String> {
        self.import_where_missing(self.runtimes(), archive, name, id).await
    }

    async fn import_where_missing(
        &self,
        runtimes: Vec<Rc<Planned>>,
        archive: &str,
        name: &str,
        id: &str,
    ) -> Result<Vec<String>, String> {
        let import = async |planned: &Rc<Planned>| {
            let failed = |why: String| format!("{}: {why}", planned.name());
            let client = connect(planned).await.map_err(failed)?;
            let found = client.image_id(name).await.map_err(|error| failed(error.to_string()))?;
            if found.as_deref() == Some(id.trim_start_matches("sha256:")) {
                return Ok::<_, String>(None);
            }
            self.import_into(planned, archive, name).await.map_err(failed)?;
            Ok(Some(node(planned)))
        };
        // The first instance of each component comes before the others, which may share its store.
        let mut got = Vec::new();
        let (mut first, mut others) = (BTreeMap::new(), Vec::new());
        for planned in &runtimes {
            match first.entry(planned.instance.component.as_str()) {
                Entry::Vacant(entry) => drop(entry.insert(planned)),
                Entry::Occupied(_) => others.push(planned),
            }
        }
        for planned in first.into_values() {
            got.extend(import(planned).await?);
        }
        let imports = others.into_iter().map(import);
        got.extend(futures_util::future::try_join_all(imports).await?.into_iter().flatten());
        got.sort();
        Ok(got)
    }

    /// Removes an image from every node's store. Returns the nodes that had it.
    pub(super) async fn remove_image(&self, name: &str) -> Result<Vec<String>, String> {
        let runtimes = self.runtimes();
        // All are asked before the first is told: nodes may have one store, and use each other's
        // images.
        let mut having = Vec::new();
        for planned in &runtimes {
            let failed = |why: String| format!("{}: {why}", planned.name());
            let client = connect(planned).await.map_err(failed)?;
            let cri = |error: cri::Error| failed(error.to_string());
            let Some(id) = client.image_id(name).await.map_err(cri)? else { continue };
            if let Some(user) = client.container_of(&id).await.map_err(cri)? {
                return Err(failed(format!("container `{user}` uses it: delete its pod first")));
            }
            having.push((planned, client));
        }
        for (planned, client) in &having {
            let failed = |why: String| format!("{}: {why}", planned.name());
            let cri = |error: cri::Error| failed(error.to_string());
            client.remove_image(name).await.map_err(cri)?;
            if client.has_image(name).await.map_err(cri)? {
                self.remove_imported(planned, name).await.map_err(failed)?;
            }
        }
        Ok(having.into_iter().map(|(planned, _)| node(planned)).collect())
    }

    /// The images of every node, by node.
    pub(super) async fn images(&self) -> Result<Vec<NodeImages>, String> {
        let mut all = Vec::new();
        for planned in self.runtimes() {
            let images = connect(&planned).await?.images().await.map_err(|error| error.to_string())?;
            all.push(NodeImages { node: node(&planned), images });
        }
        Ok(all)
    }

    fn runtimes(&self) -> Vec<Rc<Planned>> {
        self.instances().into_iter().filter(|planned| !planned.is_off() && planned.fills(roles::CRI)).collect()
    }

    async fn import_into(&self, planned: &Planned, archive: &str, name: &str) -> Result<(), String> {
        let (component, context) = (planned.instance.registered.clone(), planned.instance.context.clone());
        let (archive, name) = (archive.to_owned(), name.to_owned());
        let command = in_thread(move || component.import_image(&context, archive, name)).await?;
        let command =
            command.ok_or_else(|| format!("component `{}` can't import images", planned.instance.component))?;
        self.run_hook(planned, &command).await
    }

    async fn remove_imported(&self, planned: &Planned, name: &str) -> Result<(), String> {
        let (component, context) = (planned.instance.registered.clone(), planned.instance.context.clone());
        let name = name.to_owned();
        match in_thread(move || component.remove_image(&context, name)).await? {
            Some(command) => self.run_hook(planned, &command).await,
            None => Err("the image is still there after it was removed: a container may use it".to_owned()),
        }
    }

    async fn run_hook(&self, planned: &Planned, command: &Command) -> Result<(), String> {
        let spawner = self.spawner_of(planned)?;
        let output = match self.api_role() {
            // Copying an image is work for both of two cores: while the API server starts, that
            // goes first.
            Some(at) => spawner.run_idle(command, self.board.wait(&at)).await,
            None => spawner.output(command).await,
        };
        let output = output.map_err(|error| error.to_string())?;
        if output.code == 0 { Ok(()) } else { Err(output.stderr.trim().to_owned()) }
    }
}

fn node(planned: &Planned) -> String {
    planned.instance.node.clone().unwrap_or_default()
}

async fn connect(planned: &Planned) -> Result<cri::Client, String> {
    let url = planned.endpoint(roles::CRI).map(|endpoint| endpoint.url.as_str());
    let socket = UnixSocket::from_url(url.unwrap_or_default()).map_err(|error| error.to_string())?;
    cri::Client::connect(socket.path()).await.map_err(|error| error.to_string())
}
