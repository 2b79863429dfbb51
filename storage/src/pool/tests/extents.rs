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

/// Bytes that are handed out or kept for a class: what resident pages hold of pieces, used or not.
fn in_use(pool: &Pool) -> u64 {
    pool.shed_caches();
    let extents = pool.stats().extents;
    extents.bytes - extents.idle_bytes
}

#[test]
fn an_emptied_slab_gives_its_pages_back_when_its_last_record_has_moved() {
    // A burst of small records, of which one in a hundred stays: each slab is held by a few.
    let pool = Pool::new(Ledger::new(256 << 20));
    let mut live: Vec<_> = (0..200_000)
        .map(|n| Live::new(&pool, Owner::Version, 100, n as u8).unwrap())
        .collect();
    let before = in_use(&pool);
    let mut n = 0;
    for one in live.extract_if(.., |_| {
        n += 1;
        n % 100 != 0
    }) {
        one.free(&pool);
    }
    assert_eq!(in_use(&pool), before, "a few hold all of them");
    let to_gain = pool.evacuable_bytes(50);
    assert_eq!(pool.begin_evacuation(50), to_gain);
    assert!(to_gain * 100 > before * 95, "{to_gain} of {before}");
    let moved = live
        .iter_mut()
        .filter_map(|one| one.leave_evacuated(&pool).then_some(()));
    assert!(moved.count() > 0);
    assert_eq!((pool.evacuating(), in_use(&pool)), (0, before - to_gain));
    assert_eq!(pool.begin_evacuation(50), 0, "it comes to rest");
    free_all(&pool, live);
}

/// A pool that was full of small pieces, those that are left of them, one in four, and how many there were.
fn full_then_sparse() -> (Arc<Pool>, Vec<Live>, usize) {
    let pool = Pool::new(Ledger::new(16 << 20));
    let (mut live, _) = fill(&pool, Owner::Index, 1000);
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
fn a_closed_slab_serves_again_before_a_request_of_its_size_is_refused() {
    let (pool, mut live, n) = full_then_sparse();
    let kept = live.len();
    assert!(pool.begin_evacuation(50) > 0);
    let (more, _) = fill(&pool, Owner::Index, 1000);
    assert_eq!(kept + more.len(), n, "as many as before");
    assert_eq!(pool.evacuating(), 0);
    live.extend(more);
    free_all(&pool, live);
}

/// A request of another size, be it again and again, keeps no slab from becoming empty; and then it is served.
#[test]
fn a_request_that_closed_slabs_could_not_serve_leaves_them_closed() {
    let (pool, mut live, _) = full_then_sparse();
    let refused = |bytes| {
        Live::new(&pool, Owner::Table, bytes, 1)
            .map(drop)
            .unwrap_err()
    };
    refused(EXTENT_BYTES);
    pool.begin_evacuation(50);
    let begun = pool.evacuating();
    assert!(begun > 0);
    for bytes in [1, EXTENT_BYTES, 3 * EXTENT_BYTES, 1 << 40] {
        refused(bytes);
        assert_eq!(pool.evacuating(), begun, "{bytes}");
    }
    for one in &mut live {
        one.leave_evacuated(&pool);
    }
    assert_eq!(pool.evacuating(), 0);
    let (more, _) = fill(&pool, Owner::Table, EXTENT_BYTES);
    assert_eq!(more.len(), 5, "three quarters of 14 MiB came free");
    free_all(&pool, live.into_iter().chain(more).collect());
}

#[test]
fn an_evacuation_that_is_given_up_leaves_all_as_it_was() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let live: Vec<_> = (0..20_000)
        .map(|n| Live::new(&pool, Owner::Version, 200, n as u8).unwrap())
        .collect();
    let before = in_use(&pool);
    assert_eq!(pool.begin_evacuation(100), 0, "there is no room elsewhere");
    let (gone, live): (Vec<_>, Vec<_>) = live.into_iter().partition(|l| l.fill % 4 != 0);
    gone.into_iter().for_each(|l| l.free(&pool));
    assert!(pool.begin_evacuation(50) > 0);
    let begun = pool.evacuating();
    assert_eq!(pool.end_evacuation(), begun);
    assert!(live.iter().all(|one| !pool.is_evacuating(one.pointer)));
    let more: Vec<_> = (0..14_000)
        .map(|n| Live::new(&pool, Owner::Version, 200, n as u8).unwrap())
        .collect();
    assert_eq!(in_use(&pool), before, "the room is used again");
    free_all(&pool, live.into_iter().chain(more).collect());
}

/// Every second page of a full pool is free, and no two of them are neighbours: together they serve runs, blocks,
/// and whatever else reserves from the ledger.
#[test]
fn free_pages_anywhere_serve_a_request_of_any_size() {
    let pool = Pool::new(Ledger::new(16 << 20));
    let (live, _) = fill(&pool, Owner::Table, 4096);
    assert_eq!(live.len(), (14 << 20) / 4096);
    let mut n = 0;
    let (gone, mut live): (Vec<_>, Vec<_>) = live.into_iter().partition(|_| {
        n += 1;
        n % 2 == 0
    });
    gone.into_iter().for_each(|one| one.free(&pool));
    assert_eq!(
        pool.ledger().used(),
        14 << 20,
        "nothing is given back before it is wanted"
    );
    let query = pool.ledger().reserve(Owner::Query, 1 << 20).unwrap();
    live.push(Live::new(&pool, Owner::Query, 3 << 20, 5).unwrap());
    live.push(Live::new(&pool, Owner::Table, 1 << 20, 6).unwrap());
    live.extend((0..100).map(|n| Live::new(&pool, Owner::Index, 10_000, n).unwrap()));
    assert!(pool.ledger().used() <= 14 << 20);
    drop(query);
    free_all(&pool, live);
}

/// A small database is charged for the pages that it has, and not for extents.
#[test]
fn the_first_extents_are_charged_page_by_page() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let page = Live::new(&pool, Owner::Table, 100, 1).unwrap();
    assert_eq!(pool.ledger().used(), 4096);
    let slab = Live::new(&pool, Owner::Index, 100, 1).unwrap();
    assert_eq!(pool.ledger().used(), 4096 + (64 << 10));
    let large = (0..4).map(|n| Live::new(&pool, Owner::Table, EXTENT_BYTES, n).unwrap());
    let live: Vec<_> = large.chain([page, slab]).collect();
    let before = pool.ledger().used();
    let more = Live::new(&pool, Owner::Table, 100, 1).unwrap();
    assert!(pool.ledger().used() <= before + 4096);
    free_all(&pool, live.into_iter().chain([more]).collect());
}

/// Free slots of another size are no room for what a slab holds.
#[test]
fn no_slab_is_emptied_where_only_other_sizes_have_room() {
    let pool = Pool::new(Ledger::new(64 << 20));
    let mut live = Vec::new();
    for (bytes, slots) in [(16 << 10, 4), (12 << 10, 5)] {
        live.extend((0..slots + 1).map(|n| Live::new(&pool, Owner::Index, bytes, n).unwrap()));
    }
    assert_eq!(pool.begin_evacuation(50), 0, "one slab of each is full");
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
        nodes.extend((0..8).map(|_| Live::new(&pool, Owner::Index, (16 << 10) - 16, n).unwrap()));
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
    let node = |n: usize| Live::new(&pool, Owner::Index, (16 << 10) - 16, n as u8).unwrap();
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
    let (mut live, _) = fill(&pool, Owner::Table, 1 << 20);
    live.swap_remove(5).free(&pool);
    (pool, live)
}

#[test]
fn any_hole_will_do_before_a_request_is_refused_or_takes_from_the_reserve() {
    let (pool, mut live) = full_but_for_a_hole(16 << 20);
    assert_eq!((pool.extents(), live.len()), (7, 13));
    let rescue = pool
        .allocate_for(Claim::Emergency, Owner::Transaction, 5000)
        .unwrap();
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
        let refused = pool
            .allocate_for(Claim::Emergency, Owner::Table, 1 << 20)
            .unwrap_err();
        assert_eq!(refused.sqlstate(), "53200");
    });
    assert_eq!(pool.extents(), extents);
    live.push(Live::new(&pool, Owner::Table, 1 << 20, 3).unwrap());
    free_all(&pool, live);
}
