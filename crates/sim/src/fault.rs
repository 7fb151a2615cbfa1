//! What can go wrong, by name. Where it is made to happen lives in the models, in `gate` and in `weather`.

/// Something that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A call to the store fails before anything was done.
    StoreDown,
    /// A commit is done, and its answer is lost.
    CommitUnheard,
    /// A commit is not done, and nobody is told so: the answer is lost as well.
    CommitLost,
    /// A commit whose answer is lost is done later, perhaps after it was tried again.
    CommitLate,
    /// A transaction loses against another one, or does without the campaigns that another one holds.
    StoreContended,
    /// A transaction takes long, and holds its campaigns for so long.
    StoreSlow,
    /// A read of the store fails.
    ReadFails,
    /// A call to the bus fails before anything was done.
    BusDown,
    /// A call to the bus is done, and its answer is lost.
    BusUnheard,
    /// A call to the bus takes long.
    BusSlow,
    /// A hint gets lost on its way.
    HintLost,
    /// A producer sends an event twice.
    Duplicate,
    /// A client gives up waiting, and comes again with the same key.
    Impatience,
    /// A live client or a reader of the streams stands still for a while.
    SlowReader,
    /// Events that nobody can read, and campaigns that the store refuses.
    Poison,
    /// The store is away for a while.
    StoreOutage,
    /// The bus is away for a while.
    BusOutage,
    /// The bus is emptied.
    BusWiped,
    /// The bus goes back to what it was a moment ago.
    BusTailLost,
    /// The consumer group is deleted.
    GroupLost,
    /// The outbound stream is deleted.
    StreamLost,
    /// The mark of what was told is deleted.
    MarkLost,
    /// An entry is deleted from the inbound stream while it is pending.
    EntryDeleted,
    /// Instances' clocks are minutes apart.
    ClockSkew,
    /// An instance's clock is set.
    ClockStep,
    /// The store's clock is set.
    StoreClockStep,
    /// An instance is frozen, and goes on later as if nothing had been.
    Pause,
    /// An instance dies at some moment.
    Crash,
    /// An instance dies at some call, before it or after it.
    CrashAtCall,
    /// Everything is down for a long time.
    AllDown,
    /// An instance is stopped in order, and started anew.
    Restart,
    /// A stored campaign cannot be read for a while.
    Spoiled,
    /// Instances run with different settings, as during a rolling upgrade.
    Mixed,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 33] = [
        Self::StoreDown,
        Self::CommitUnheard,
        Self::CommitLost,
        Self::CommitLate,
        Self::StoreContended,
        Self::StoreSlow,
        Self::ReadFails,
        Self::BusDown,
        Self::BusUnheard,
        Self::BusSlow,
        Self::HintLost,
        Self::Duplicate,
        Self::Impatience,
        Self::SlowReader,
        Self::Poison,
        Self::StoreOutage,
        Self::BusOutage,
        Self::BusWiped,
        Self::BusTailLost,
        Self::GroupLost,
        Self::StreamLost,
        Self::MarkLost,
        Self::EntryDeleted,
        Self::ClockSkew,
        Self::ClockStep,
        Self::StoreClockStep,
        Self::Pause,
        Self::Crash,
        Self::CrashAtCall,
        Self::AllDown,
        Self::Restart,
        Self::Spoiled,
        Self::Mixed,
    ];

    /// Faults that come now and then, and not with a call: the weather.
    pub(crate) fn is_weather(self) -> bool {
        self >= Self::StoreOutage && !matches!(self, Self::ClockSkew | Self::Mixed)
    }

    /// Whether it can make the bus forget an event, or bring it again behind later ones.
    pub(crate) fn disorders_events(self) -> bool {
        matches!(self, Self::BusWiped | Self::BusTailLost | Self::GroupLost | Self::EntryDeleted)
    }
}

/// How often each fault happens: of a thousand calls, or, for the weather, of a thousand seconds. 0 is never.
#[derive(Debug, Clone)]
pub struct Rates([u32; Fault::ALL.len()]);

impl Rates {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self([0; Fault::ALL.len()])
    }

    /// How often `fault` happens.
    pub fn of(&self, fault: Fault) -> u32 {
        self.0[fault as usize]
    }

    /// Sets how often it happens.
    pub fn set(&mut self, fault: Fault, rate: u32) {
        self.0[fault as usize] = rate;
    }

    /// The faults that happen at all.
    pub fn on(&self) -> Vec<Fault> {
        Fault::ALL.into_iter().filter(|fault| self.of(*fault) > 0).collect()
    }

    /// Whether any of the faults that `chosen` names happens.
    pub fn any(&self, chosen: impl Fn(Fault) -> bool) -> bool {
        Fault::ALL.into_iter().any(|fault| self.of(fault) > 0 && chosen(fault))
    }
}
