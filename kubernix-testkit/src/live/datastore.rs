//! The calls of a Kubernetes API server to its store: create, get, watch, compare and swap,
//! compact, delete. It writes only with transactions of certain forms (k8s.io/apiserver,
//! pkg/storage/etcd3), and some stores support no others.

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
    // Outside `/registry`, which has the API server's objects.
    let key = format!("/kubernix-kit/{}", std::process::id()).into_bytes();
    let (channel, first) = step(passed, put_get, async {
        let channel = connect(target).await?;
        let first = created(&channel, &key, b"one").await?;
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
            // A store may compact later: until then it returns the old value.
            Ok(Some(old)) if old == b"two" => {}
            other => return Err(format!("a revision that was compacted away reads as {other:?}")),
        }
        expect("the value", get(&channel, &key, 0).await?.as_deref(), Some(b"three"))
    })
    .await?;
    step(passed, delete, async {
        let delete =
            || RequestOp { request_delete_range: Some(DeleteRequest { key: key.clone() }), ..RequestOp::default() };
        let late = guarded(&channel, &key, second, delete()).await?;
        expect("whether the deletion of a changed key succeeded", late.succeeded, false)?;
        let fresh = guarded(&channel, &key, third, delete()).await?;
        expect("whether the deletion of an unchanged key succeeded", fresh.succeeded, true)?;
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

fn put(key: &[u8], value: &[u8]) -> RequestOp {
    let request_put = Some(PutRequest { key: key.to_vec(), value: value.to_vec() });
    RequestOp { request_put, ..RequestOp::default() }
}

/// A transaction with one operation, on the condition that the key's last change has this revision;
/// 0: that the key doesn't exist.
async fn guarded(channel: &Channel, key: &[u8], revision: i64, success: RequestOp) -> Result<TxnResponse> {
    // A failed update or delete returns the current value; a failed create doesn't.
    let there =
        RequestOp { request_range: Some(RangeRequest { key: key.to_vec(), revision: 0 }), ..RequestOp::default() };
    let request = TxnRequest {
        compare: vec![Compare { result: EQUAL, target: MOD_REVISION, key: key.to_vec(), mod_revision: revision }],
        success: vec![success],
        failure: if revision == 0 { Vec::new() } else { vec![there] },
    };
    unary(channel, "/etcdserverpb.KV/Txn", request).await
}

/// Creates a key. Returns its revision.
async fn created(channel: &Channel, key: &[u8], value: &[u8]) -> Result<i64> {
    let answer = guarded(channel, key, 0, put(key, value)).await?;
    expect("whether a new key was created", answer.succeeded, true)?;
    revision(answer.header)
}

/// A key's value, at a revision; 0: the newest.
async fn get(channel: &Channel, key: &[u8], revision: i64) -> Result<Option<Vec<u8>>> {
    let answer: RangeResponse =
        unary(channel, "/etcdserverpb.KV/Range", RangeRequest { key: key.to_vec(), revision }).await?;
    Ok(answer.kvs.into_iter().next().map(|kv| kv.value))
}

/// Checks that a watch from an earlier revision reports earlier and later changes in order. Returns
/// the revision of a second change.
async fn watched(channel: &Channel, key: &[u8], first: i64) -> Result<i64> {
    let create = WatchCreate { key: key.to_vec(), start_revision: first };
    let request = WatchRequest { create_request: Some(create) };
    let mut answers = stream::<_, WatchResponse>(channel, "/etcdserverpb.Watch/Watch", request).await?;
    let changed = guarded(channel, key, first, put(key, b"two")).await?;
    expect("whether a change succeeded", changed.succeeded, true)?;
    let second = revision(changed.header)?;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let answer = answers.message().await.map_err(|status| format!("the watch: {}", status.message()))?;
        let answer = answer.ok_or("the watch ended")?;
        if answer.canceled {
            return Err("the watch was cancelled".into());
        }
        seen.extend(answer.events.into_iter().filter_map(|event| event.kv).map(|kv| (kv.mod_revision, kv.value)));
    }
    expect("the watched changes", seen, vec![(first, b"one".to_vec()), (second, b"two".to_vec())])?;
    Ok(second)
}

/// Checks that a swap succeeds only for an unchanged key. Returns the revision of the swap.
async fn swapped(channel: &Channel, key: &[u8], second: i64) -> Result<i64> {
    let late = guarded(channel, key, second - 1, put(key, b"three")).await?;
    expect("whether a swap of a changed key succeeded", late.succeeded, false)?;
    let fresh = guarded(channel, key, second, put(key, b"three")).await?;
    expect("whether a swap of an unchanged key succeeded", fresh.succeeded, true)?;
    revision(fresh.header)
}
