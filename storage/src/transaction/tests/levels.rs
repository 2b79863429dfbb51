//! What transactions are begun as.

use super::*;
use crate::error::Error;
use crate::transaction::TransactionOptions;

#[test]
fn a_transaction_that_is_not_to_write_does_not() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    let options = TransactionOptions {
        read_only: true,
        ..TransactionOptions::default()
    };
    let mut reader = core.begin_with(options).unwrap();
    assert_eq!(reader.options(), options);
    assert_eq!(get(&mut reader, 1), Some(10));
    assert!(matches!(insert(&mut reader, 2, 20), Err(Error::ReadOnly)));
    assert!(matches!(update(&mut reader, 1, 11), Err(Error::ReadOnly)));
    assert!(matches!(delete(&mut reader, 1), Err(Error::ReadOnly)));
    let dropped = reader.drop_table(t(&reader).def.id);
    assert!(matches!(dropped, Err(Error::ReadOnly)));
    assert_eq!(all(&mut reader), [(1, 10)]);
    assert_eq!(reader.commit().unwrap().timestamp, None);
}
