//! Memory that goes back to the system: what threads keep, empty extents, and pages that nobody has.

use super::allocator::Pool;

impl Pool {
    /// Takes back what threads keep for their next requests, and gives the system what is empty
    /// then. Threads that are at work meanwhile may begin anew at once.
    pub fn shed_caches(&self) {
        {
            let caches = self.caches.lock();
            for mut entered in caches.iter().filter_map(|cache| cache.enter()) {
                self.empty(&mut entered);
            }
        }
        self.release_empty(u64::MAX);
    }

    /// Gives extents back in which nothing is used, until their resident bytes are as many as wanted; returns
    /// how many they were.
    fn release_empty(&self, wanted: u64) -> u64 {
        let mut bytes = 0;
        while bytes < wanted {
            // The latch is given back before the memory goes to the system.
            let empty = self.space.0.lock().extents.take_empty(&self.map);
            let Some(memory) = empty else { break };
            bytes += memory.bytes();
        }
        bytes
    }

    /// Gives the system pages that nobody has, but for so many bytes of them.
    pub fn purge_beyond(&self, kept: u64) {
        let idle = self.space.0.lock().extents.stats().idle_bytes;
        if idle > kept {
            self.purge(idle - kept);
        }
    }

    /// Gives the system pages that nobody has, until they are as many bytes as wanted; returns how many they were.
    pub fn purge(&self, wanted: u64) -> u64 {
        let mut bytes = self.release_empty(wanted);
        let mut from = 0;
        while bytes < wanted {
            let purge = self.space.0.lock().extents.begin_purge(&mut from);
            let Some(purge) = purge else { break };
            let gone = purge.run();
            bytes += self.space.0.lock().extents.end_purge(&purge, gone);
        }
        bytes
    }
}
