//! What a Kubernetes API server does with its store: put, get, watch, compare and swap, compact.

use super::call::{connect, stream, unary};
use super::etcd_messages::*;
use super::{Result, Target, step};
use tonic::transport::Channel;

pub(super) const IDS: [&str; 5] =
    ["datastore-put-get", "datastore-watch", "datastore-txn", "datastore-compact", "datastore-delete"];

/// Compares for equality with the revision of a key's last change.
const EQUAL: i32 = 0;
const MOD_REVISION: i32 = 2;

pub(super) async fn run(target: &Target, passed: &mut Vec<&'static str>) -> Result {
    let [put_get, watch, txn, compact, delete] = IDS;
    // Outside of `/registry`, where the API server's objects are.
    let key = format!("/kubernix-kit/{}", std::process::id()).into_bytes();
    let (channel, first) = step(passed, put_get, async {
        let channel = connect(target).await?;
        let first = put(&channel, &key, b"one").await?;
        expect("the value", get(&channel, &key, 0).await?.as_deref(), Some(b"one"))?;
        Ok((channel, first))
    })
    .await?;
    let second = step(passed, watch, watched(&channel, &key, first)).await?;
    let third = step(passed, txn, swapped(&channel, &key, second)).await?;
    step(passed, compact, async {
        expect("the old value", get(&channel, &key, second).await?.as_deref(), Some(b"two"))?;
        let _: CompactResponse =
            unary(&channel, "/etcdserverpb.KV/Compact", CompactRequest { revision: third }).await?;
        match get(&channel, &key, second).await {
            Err(error) if error.contains("OutOfRange") => {}
            other => return Err(format!("a revision that was compacted away reads as {other:?}")),
        }
        expect("the value", get(&channel, &key, 0).await?.as_deref(), Some(b"three"))
    })
    .await?;
    step(passed, delete, async {
        let request = DeleteRequest { key: key.clone() };
        let answer: DeleteResponse = unary(&channel, "/etcdserverpb.KV/DeleteRange", request).await?;
        expect("the number of deleted keys", answer.deleted, 1)?;
        expect("the value", get(&channel, &key, 0).await?, None)
    })
    .await
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, is: T, wanted: T) -> Result {
    if is == wanted { Ok(()) } else { Err(format!("{what} is {is:?} and not {wanted:?}")) }
}

fn revision(header: Option<Header>) -> Result<i64> {
    let revision = header.map(|header| header.revision).filter(|revision| *revision > 0);
    revision.ok_or_else(|| "an answer has no revision".to_owned())
}

async fn put(channel: &Channel, key: &[u8], value: &[u8]) -> Result<i64> {
    let request = PutRequest { key: key.to_vec(), value: value.to_vec() };
    let answer: PutResponse = unary(channel, "/etcdserverpb.KV/Put", request).await?;
    revision(answer.header)
}

/// A key's value, at a revision; 0: the newest.
async fn get(channel: &Channel, key: &[u8], revision: i64) -> Result<Option<Vec<u8>>> {
    let answer: RangeResponse =
        unary(channel, "/etcdserverpb.KV/Range", RangeRequest { key: key.to_vec(), revision }).await?;
    Ok(answer.kvs.into_iter().next().map(|kv| kv.value))
}

/// A watch from the past sees what was and what comes, in order. Returns the revision of a second change.
async fn watched(channel: &Channel, key: &[u8], first: i64) -> Result<i64> {
    let create = WatchCreate { key: key.to_vec(), start_revision: first };
    let request = WatchRequest { create_request: Some(create) };
    let mut answers = stream::<_, WatchResponse>(channel, "/etcdserverpb.Watch/Watch", request).await?;
    let second = put(channel, key, b"two").await?;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let answer = answers.message().await.map_err(|status| format!("the watch: {}", status.message()))?;
        let answer = answer.ok_or("the watch ended")?;
        if answer.canceled {
            return Err("the watch was cancelled".into());
        }
        seen.extend(answer.events.into_iter().filter_map(|event| event.kv).map(|kv| (kv.mod_revision, kv.value)));
    }
    expect("what the watch saw", seen, vec![(first, b"one".to_vec()), (second, b"two".to_vec())])?;
    Ok(second)
}

/// Swaps where nothing changed meanwhile, and only there. Returns the revision of the swap.
async fn swapped(channel: &Channel, key: &[u8], second: i64) -> Result<i64> {
    let request = |expected: i64| TxnRequest {
        compare: vec![Compare { result: EQUAL, target: MOD_REVISION, key: key.to_vec(), mod_revision: expected }],
        success: vec![RequestOp { request_put: Some(PutRequest { key: key.to_vec(), value: b"three".to_vec() }) }],
    };
    let late: TxnResponse = unary(channel, "/etcdserverpb.KV/Txn", request(second - 1)).await?;
    expect("whether a swap of what has changed succeeded", late.succeeded, false)?;
    let fresh: TxnResponse = unary(channel, "/etcdserverpb.KV/Txn", request(second)).await?;
    expect("whether a swap of what hasn't changed succeeded", fresh.succeeded, true)?;
    revision(fresh.header)
}
