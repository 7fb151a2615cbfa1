//! The port suites against a database each. What they mean is told in `port-contracts`.

mod support;

use support::Fresh;

mod store {
    use super::Fresh;
    port_contracts::store_contract!(Fresh::open().await);
}

mod verification {
    use super::Fresh;
    port_contracts::verification_contract!(Fresh::open().await);
}

mod dead_letters {
    use super::Fresh;
    port_contracts::dead_letters_contract!(Fresh::open().await);
}

mod outbox {
    use super::Fresh;
    port_contracts::outbox_contract!(Fresh::open().await);
}

mod queries {
    use super::Fresh;
    port_contracts::queries_contract!(Fresh::open().await);
}

mod instances {
    use super::Fresh;
    port_contracts::instances_contract!(Fresh::open().await);
}

mod leases {
    use super::Fresh;
    port_contracts::leases_contract!(Fresh::open().await);
}
