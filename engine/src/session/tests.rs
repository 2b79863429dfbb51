//! Sessions from outside, told as short stories.

use crate::{Connection, Database, InterruptHandle};

#[test]
fn handles_go_where_threads_need_them() {
    fn send<T: Send>() {}
    fn shared<T: Clone + Send + Sync>() {}
    send::<Connection>();
    shared::<Database>();
    shared::<InterruptHandle>();
}
