//! Shortens a list of faults that broke a cluster.

use std::time::{Duration, Instant};

/// Finds a short list that still fails, in the same order. `fails` repeats a list, which takes
/// seconds: after `budget` the shortest list so far is returned.
pub fn shrink<T: Clone>(all: &[T], budget: Duration, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let started = Instant::now();
    let mut shortest = all.to_vec();
    // The last fault broke the cluster, and often does so alone.
    if let [.., last] = all
        && all.len() > 1
        && fails(std::slice::from_ref(last))
    {
        return vec![last.clone()];
    }
    let mut size = shortest.len() / 2;
    while size > 0 {
        let mut from = 0;
        while from < shortest.len() && shortest.len() > 1 {
            if started.elapsed() > budget {
                return shortest;
            }
            let without: Vec<T> = [&shortest[..from], &shortest[(from + size).min(shortest.len())..]].concat();
            if !without.is_empty() && fails(&without) {
                shortest = without;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
    shortest
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_last_fault_alone_is_tried_first() {
        let mut tries = 0;
        let found = shrink(&[1, 2, 3, 4], LONG, |list| {
            tries += 1;
            list.contains(&4)
        });
        assert_eq!((found, tries), (vec![4], 1));
    }

    #[test]
    fn needed_faults_keep_their_order() {
        let needed = |list: &[i32]| list.contains(&2) && list.contains(&7);
        assert_eq!(shrink(&[1, 2, 3, 4, 5, 6, 7, 8], LONG, needed), [2, 7]);
        assert_eq!(shrink(&[9], LONG, |_| true), [9]);
        assert_eq!(shrink(&[1, 2, 3], LONG, |list| list.len() == 3), [1, 2, 3]);
    }

    #[test]
    fn without_a_budget_the_list_is_unchanged() {
        assert_eq!(shrink(&[1, 2, 3], Duration::ZERO, |list| list.len() > 1), [1, 2, 3]);
    }
}
