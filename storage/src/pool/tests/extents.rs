//! What lies in which extent, when extents go back, and what serves for want of another.

use super::*;
use std::sync::Arc;

#[test]
fn two_blocks_of_a_mebibyte_fill_an_extent() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let live: Vec<_> = (0..6)
        .map(|n| Live::new(&pool, Owner::Table, 1 << 20, n).unwrap())
        .collect();
    assert_eq!(pool.extents(), 3);
    assert_eq!(owner_bytes(&pool, Owner::Table), 6 << 20);
    assert_eq!(pool.stats().runs.bytes, 6 << 20);
    free_all(&pool, live);
}

#[test]
fn a_load_that_swings_around_an_extent_does_not_map_and_unmap() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let live: Vec<_> = (0..5)
        .map(|_| Live::new(&pool, Owner::Table, EXTENT_BYTES, 1).unwrap())
        .collect();
    for _ in 0..3 {
        let swinging = Live::new(&pool, Owner::Table, EXTENT_BYTES, 2).unwrap();
        swinging.free(&pool);
        assert_eq!((pool.extents(), pool.stats().extents.empty), (6, 1));
    }
    pool.shed_caches();
    assert_eq!((pool.extents(), pool.stats().extents.empty), (5, 0));
    free_all(&pool, live);
}

#[test]
fn an_evacuated_extent_goes_back_when_its_last_record_has_moved() {
    // A burst of small records, of which one in a hundred stays: each extent is held by a few.
    let pool = Pool::new(Ledger::new(256 << 20));
    let mut live: Vec<_> = (0..200_000)
        .map(|n| Live::new(&pool, Owner::Version, 100, n as u8).unwrap())
        .collect();
    let before = pool.extents();
    let mut n = 0;
    for one in live.extract_if(.., |_| {
        n += 1;
        n % 100 != 0
    }) {
        one.free(&pool);
    }
    assert_eq!(pool.extents(), before, "a few hold all of them");
    let begun = pool.begin_evacuation(usize::MAX, 50);
    assert!(begun > 0 && begun < before, "{begun} of {before}");
    assert_eq!(pool.evacuating(), begun);
    let moved = live
        .iter_mut()
        .filter_map(|one| one.leave_evacuated(&pool).then_some(()));
    assert!(moved.count() > 0);
    assert_eq!((pool.evacuating(), pool.extents()), (0, before - begun));
    free_all(&pool, live);
}

/// A pool that was full of small pieces, those that are left of them, one in four, and how many there were.
fn full_then_sparse() -> (Arc<Pool>, Vec<Live>, usize) {
    let pool = Pool::new(Ledger::new(16 << 20));
    let (mut live, _) = fill(&pool, 1000);
    let mut n = 0;
    for one in live.extract_if(.., |_| {
        n += 1;
        n % 4 != 0
    }) {
        one.free(&pool);
    }
    (pool, live, n)
}

#[test]
fn what_is_set_apart_serves_again_before_a_request_is_refused() {
    let (pool, mut live, n) = full_then_sparse();
    let kept = live.len();
    assert!(pool.begin_evacuation(3, 50) > 0);
    let (more, _) = fill(&pool, 1000);
    assert_eq!(kept + more.len(), n, "as many as before");
    assert_eq!(pool.evacuating(), 0);
    live.extend(more);
    free_all(&pool, live);
}

/// What is asked for in vain, and be it again and again, keeps no extent from becoming empty.
#[test]
fn what_is_set_apart_stays_so_where_it_could_not_serve() {
    // Some of each slab stay: there is no hole for a run.
    let (pool, mut live, _) = full_then_sparse();
    let begun = pool.begin_evacuation(3, 50);
    assert!(begun > 0);
    for bytes in [EXTENT_BYTES, 3 * EXTENT_BYTES, 1 << 40] {
        let refused = Live::new(&pool, Owner::Table, bytes, 1);
        assert!(refused.is_err(), "{bytes}");
        assert_eq!(pool.evacuating(), begun, "{bytes}");
    }
    for one in &mut live {
        one.leave_evacuated(&pool);
    }
    assert_eq!(pool.evacuating(), 0);
    let served = Live::new(&pool, Owner::Table, EXTENT_BYTES, 1).unwrap();
    live.push(served);
    free_all(&pool, live);
}

#[test]
fn an_evacuation_that_is_given_up_leaves_all_as_it_was() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let live: Vec<_> = (0..20_000)
        .map(|n| Live::new(&pool, Owner::Version, 200, n as u8).unwrap())
        .collect();
    let extents = pool.extents();
    let begun = pool.begin_evacuation(1, 100);
    assert_eq!(begun, 0, "there is no room elsewhere");
    let (gone, live): (Vec<_>, Vec<_>) = live.into_iter().partition(|l| l.fill % 4 != 0);
    gone.into_iter().for_each(|l| l.free(&pool));
    let begun = pool.begin_evacuation(1, 50);
    assert_eq!(begun, 1);
    assert_eq!(pool.end_evacuation(), 1);
    assert!(live.iter().all(|one| !pool.is_evacuating(one.pointer)));
    let more: Vec<_> = (0..14_000)
        .map(|n| Live::new(&pool, Owner::Version, 200, n as u8).unwrap())
        .collect();
    assert_eq!(pool.extents(), extents, "the room is used again");
    free_all(&pool, live.into_iter().chain(more).collect());
}

/// Holes among runs are no room: what moved there would get a new extent, and the one that was
/// emptied would be the next one to come.
#[test]
fn no_extent_is_emptied_into_a_new_one() {
    let pool = Pool::new(Ledger::new(256 << 20));
    let runs = (0..5).map(|n| Live::new(&pool, Owner::Table, 3 << 19, n).unwrap());
    let mut live: Vec<_> = runs.collect();
    let node = |n| Live::new(&pool, Owner::Index, 16 << 10, n).unwrap();
    live.extend((0..40).map(node));
    assert_eq!(pool.extents(), 6);
    assert_eq!(
        pool.begin_evacuation(1, 50),
        0,
        "2.5 MiB are free among runs"
    );

    // With a second extent of nodes there is room, once.
    let more: Vec<_> = (40..240).map(node).collect();
    assert_eq!(pool.extents(), 7);
    let (stays, goes): (Vec<_>, Vec<_>) = more.into_iter().partition(|one| one.fill % 8 == 0);
    goes.into_iter().for_each(|one| one.free(&pool));
    live.extend(stays);
    assert_eq!(pool.extents(), 7);
    assert_eq!(pool.begin_evacuation(usize::MAX, 50), 1);
    for one in &mut live {
        one.leave_evacuated(&pool);
    }
    assert_eq!((pool.extents(), pool.evacuating()), (6, 0));
    assert_eq!(pool.begin_evacuation(usize::MAX, 50), 0, "it comes to rest");
    free_all(&pool, live);
}

/// Free slots of another size are no room either.
#[test]
fn no_extent_is_emptied_where_only_other_sizes_have_room() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let mut live = Vec::new();
    for (bytes, slots) in [(16 << 10, 8), (12 << 10, 10)] {
        let all: Vec<_> = (0..16 * slots)
            .map(|n| Live::new(&pool, Owner::Index, bytes, (n % slots) as u8).unwrap())
            .collect();
        let (stays, goes): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.fill == 0);
        goes.into_iter().for_each(|one| one.free(&pool));
        live.extend(stays);
    }
    assert_eq!((pool.extents(), live.len()), (2, 32), "one slot a slab");
    assert_eq!(pool.begin_evacuation(1, 50), 0);
    free_all(&pool, live);
}

/// Blocks come and go between index nodes that stay. If nodes filled the holes beside the blocks,
/// each extent would be kept by some of them.
#[test]
fn blocks_leave_no_extents_behind_for_the_nodes_that_came_with_them() {
    let pool = Pool::new(Ledger::new(256 << 20));
    let (mut blocks, mut nodes) = (Vec::new(), Vec::new());
    for n in 0..20 {
        blocks.push(Live::new(&pool, Owner::Table, 3 << 19, n).unwrap());
        nodes.extend((0..8).map(|_| Live::new(&pool, Owner::Index, 16 << 10, n).unwrap()));
    }
    let all = pool.extents();
    blocks.into_iter().for_each(|block| block.free(&pool));
    pool.shed_caches();
    // The first ones are shared: a small database has few.
    let nodes_take = (nodes.len() * (16 << 10)).div_ceil(EXTENT_BYTES);
    assert!(
        pool.extents() <= 3 + nodes_take,
        "{} of {all}",
        pool.extents()
    );
    free_all(&pool, nodes);
}

/// And the other way round.
#[test]
fn blocks_do_not_fill_the_holes_of_nodes() {
    let pool = Pool::new(Ledger::new(256 << 20));
    let node = |n: usize| Live::new(&pool, Owner::Index, 16 << 10, n as u8).unwrap();
    let mut live: Vec<_> = (0..4 * 128 + 1).map(node).collect();
    assert_eq!(pool.extents(), 5, "the last is nearly empty");
    live.push(Live::new(&pool, Owner::Table, 3 << 19, 1).unwrap());
    assert_eq!(pool.extents(), 6);
    // Pieces of strings go with their blocks.
    live.push(Live::new(&pool, Owner::Table, 64 << 10, 2).unwrap());
    let block = live.len() - 2;
    for one in live.drain(block..) {
        one.free(&pool);
    }
    pool.shed_caches();
    assert_eq!(pool.extents(), 5, "nothing of them is among the nodes");
    free_all(&pool, live);
}

/// A pool of runs only, full but for one hole.
fn full_but_for_a_hole(budget: u64) -> (Arc<Pool>, Vec<Live>) {
    let pool = Pool::new(Ledger::new(budget));
    let (mut live, _) = fill(&pool, 1 << 20);
    live.swap_remove(5).free(&pool);
    (pool, live)
}

#[test]
fn any_hole_will_do_before_a_request_is_refused_or_takes_from_the_reserve() {
    let (pool, mut live) = full_but_for_a_hole(16 << 20);
    assert_eq!((pool.extents(), live.len()), (7, 13));
    let rescue = pool.allocate_emergency(Owner::Transaction, 5000).unwrap();
    assert_eq!(pool.extents(), 7, "the reserve is untouched");
    live.push(Live::new(&pool, Owner::Table, 5000, 1).unwrap());
    // SAFETY: allocated above with this owner and size, never used.
    unsafe { pool.free(Owner::Transaction, rescue, 5000) };
    free_all(&pool, live);
}

#[test]
fn any_hole_will_do_where_the_system_has_no_more_memory() {
    let (pool, mut live) = full_but_for_a_hole(16 << 20);
    pool.ledger().set_budget(64 << 20).unwrap();
    let extents = pool.extents();
    system::while_exhausted(|| {
        live.push(Live::new(&pool, Owner::Index, 5000, 1).unwrap());
        live.push(Live::new(&pool, Owner::Table, 1 << 19, 2).unwrap());
        let refused = pool.allocate_emergency(Owner::Table, 1 << 20).unwrap_err();
        assert_eq!(refused.sqlstate(), "53200");
    });
    assert_eq!(pool.extents(), extents);
    live.push(Live::new(&pool, Owner::Table, 1 << 20, 3).unwrap());
    free_all(&pool, live);
}
