//! Two orgs as processes on one broker: the kit that all tests of processes share.

pub(crate) use tieline_tests::pair::*;
