//! The places where the plugins of a cluster are searched.

use super::Settings;
use crate::plugins::Search;
use crate::root_dir::Root;

impl Settings {
    /// The places in these settings, and those of this process's user.
    pub fn plugin_search(&self) -> Search {
        let root = Root::new(&self.root, &self.name);
        let of_process = Search::of_process(self.plugins.clone(), Some(root.path()));
        Search { variable: self.plugin_path.clone(), ..of_process }
    }
}
