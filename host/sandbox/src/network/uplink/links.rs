//! Lists links with their aliases.

use super::OUTSIDE;
use futures_util::TryStreamExt;
use rtnetlink::Handle;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};

/// All links of the namespace.
async fn links(handle: &Handle) -> Vec<LinkMessage> {
    handle.link().get().execute().try_collect().await.unwrap_or_default()
}

fn name_of(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

fn alias_of(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfAlias(alias) => Some(alias.as_str()),
        _ => None,
    })
}

/// The host's ends of other clusters' pairs, with their aliases.
pub(super) async fn peers(handle: &Handle, own: &str) -> Vec<(String, String)> {
    let all = links(handle).await;
    let named = all.iter().filter_map(|link| {
        let name = name_of(link).filter(|name| name.starts_with(OUTSIDE) && *name != own)?;
        Some((name.to_owned(), alias_of(link).unwrap_or_default().to_owned()))
    });
    named.collect()
}
