//! The port suites against one `SQLite` file each. What they mean is told in `port-contracts`.

mod support;

use support::Fresh;

mod store {
    use super::Fresh;
    port_contracts::store_contract!(Fresh::open());
}

mod verification {
    use super::Fresh;
    port_contracts::verification_contract!(Fresh::open());
}

mod dead_letters {
    use super::Fresh;
    port_contracts::dead_letters_contract!(Fresh::open());
}

mod inbound {
    use super::Fresh;
    port_contracts::inbound_contract!(Fresh::open());
}

mod feed {
    use super::Fresh;
    port_contracts::feed_contract!(Fresh::open());
}

mod outbox {
    use super::Fresh;
    port_contracts::outbox_contract!(Fresh::open());
}

mod queries {
    use super::Fresh;
    port_contracts::queries_contract!(Fresh::open());
}
