//! What a seed stands for.

use crate::adversaries::Adversary;
use crate::faults::{Fault, KINDS, skew, wrong};
use crate::network::Weather;
use crate::random::Random;
use frith_neighbourhood::consensus::Faults as Bugs;

/// Everything that a run is made of, drawn from its seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// The seed; also of the run's own randomness.
    pub seed: u64,
    /// Members of the genesis.
    pub members: usize,
    /// Machines whose workers may be registered later.
    pub newcomers: usize,
    /// The network while faults strike.
    pub weather: Weather,
    /// Members that misbehave on purpose: at most a third by count, all of equal weight.
    pub adversaries: Vec<(usize, Adversary)>,
    /// What strikes, and when, in ms.
    pub faults: Vec<(u64, Fault)>,
    /// When everything heals, in ms.
    pub heal_ms: u64,
    /// How far each machine's clock is off from the beginning, in ms: so little that nobody calls it wrong.
    pub skews: Vec<i64>,
    /// Bugs planted in every node.
    pub bugs: Bugs,
}

/// How many faulty members `members` of equal weight withstand.
#[must_use]
pub const fn faulty_max(members: usize) -> usize {
    members.saturating_sub(1) / 3
}

/// How far the clocks of so many machines are off. Drawn apart, so that what else a seed stands for stays.
fn skews(seed: u64, machines: usize) -> Vec<i64> {
    let mut random = Random::new(seed ^ 0x000c_10c4_0000_0000);
    (0..machines).map(|_| skew(&mut random)).collect()
}

impl Scenario {
    /// The scenario of `seed` with so many members; 0: the seed decides, mostly 4.
    #[must_use]
    pub fn new(seed: u64, members: usize) -> Self {
        let mut random = Random::new(seed ^ 0x5ce9_a210_f217_4d2d);
        let members = match members {
            0 if random.chance(50) => 1,
            0 if random.chance(150) => 7,
            0 => 4,
            given => given,
        };
        let newcomers = if random.chance(500) {
            0
        } else {
            1 + random.index(2)
        };
        let heal_ms = if newcomers == 0 {
            random.between(4_000, 9_000)
        } else {
            // A seat is drawn epochs after the registration.
            random.between(8_000, 16_000)
        };
        let mut budget = faulty_max(members);
        let adversaries = Adversary::draw(&mut random, members, &mut budget);
        let corrupt: Vec<usize> = adversaries.iter().map(|(index, _)| *index).collect();
        let faults = Fault::draw(&mut random, (members, newcomers), &corrupt, budget, heal_ms);
        let weather = Weather::random(&mut random);
        let mut scenario = Self {
            seed,
            members,
            newcomers,
            weather,
            adversaries,
            faults,
            heal_ms,
            skews: skews(seed, members + newcomers),
            bugs: Bugs::default(),
        };
        scenario.set_a_clock_wrong();
        scenario
    }

    /// One of the members that the others withstand may get a wrong clock, when fewer are faulty already.
    fn set_a_clock_wrong(&mut self) {
        let mut random = Random::new(self.seed ^ 0x000c_10c4_0000_0001);
        let faulty = (0..self.members).filter(|member| self.is_excused(*member));
        let member = random.index(self.members);
        if faulty.count() >= faulty_max(self.members)
            || self.is_excused(member)
            || random.chance(500)
        {
            return;
        }
        let at = random.below(self.heal_ms);
        let off_ms = wrong(&mut random);
        self.faults.push((at, Fault::Clock { member, off_ms }));
        self.faults.sort_by_key(|(at, _)| *at);
    }

    /// Nothing but clocks that are set wrong again and again, of as many members as the others withstand.
    #[must_use]
    pub fn wrong_clocks(seed: u64, members: usize) -> Self {
        let mut random = Random::new(seed ^ 0x000c_10c4_0000_0002);
        let heal_ms = 12_000;
        let first = random.index(members);
        let mut faults = Vec::new();
        for nth in 0..faulty_max(members) {
            let member = (first + nth) % members;
            for _ in 0..3 {
                let off_ms = wrong(&mut random);
                faults.push((random.below(heal_ms), Fault::Clock { member, off_ms }));
            }
        }
        Self::of_faults(seed, members, heal_ms, faults)
    }

    /// Nothing but power losses, many and short, on a calm network, some at random and one for each kind of
    /// write that it takes or just spares: what finds a promise that isn't kept.
    #[must_use]
    pub fn power_losses(seed: u64, members: usize) -> Self {
        let mut random = Random::new(seed ^ 0x7007_0ff5_0000_0001);
        let heal_ms = 12_000;
        let at_random = (0..40).map(|_| Fault::Power {
            member: random.index(members),
            outputs: random.below(40),
            off_ms: random.between(5, 60),
        });
        let mut struck: Vec<Fault> = at_random.collect();
        for kind in KINDS {
            struck.extend([true, false].map(|keep| Fault::PowerAt {
                member: random.index(members),
                kind,
                keep,
                off_ms: random.between(5, 60),
            }));
        }
        let moment = |fault: Fault| {
            // What is written only at the first start is struck then.
            let first = matches!(fault, Fault::PowerAt { kind, .. } if ["genesis", "founding", "voting"].contains(&kind));
            let at = if first {
                0
            } else {
                random.between(50, heal_ms)
            };
            (at, fault)
        };
        let faults = struck.into_iter().map(moment).collect();
        Self::of_faults(seed, members, heal_ms, faults)
    }

    /// Nothing but these faults, on a calm network.
    fn of_faults(seed: u64, members: usize, heal_ms: u64, mut faults: Vec<(u64, Fault)>) -> Self {
        faults.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            members,
            newcomers: 0,
            weather: Weather::calm(),
            adversaries: Vec::new(),
            faults,
            heal_ms,
            skews: skews(seed, members),
            bugs: Bugs::default(),
        }
    }

    /// Nothing but one member that loses its disk again and again, soon after it has signed something, each time set
    /// up as if it had never run: what finds votes of a founder that doesn't ask.
    #[must_use]
    pub fn remade(seed: u64, members: usize) -> Self {
        let mut random = Random::new(seed ^ 0xf0d1_2ab7_0000_0001);
        let heal_ms = 12_000;
        let member = random.index(members);
        let faults = (0..16)
            .map(|_| {
                let off_ms = random.between(5, 200);
                let fault = Fault::WipeUnmarked { member, off_ms };
                (random.between(50, heal_ms), fault)
            })
            .collect();
        Self::of_faults(seed, members, heal_ms, faults)
    }

    /// As many members as the others withstand misbehave in one way, beside the seed's accidents but for lost
    /// disks.
    #[must_use]
    pub fn adversarial(seed: u64, members: usize, adversary: Adversary) -> Self {
        let mut scenario = Self::new(seed, members);
        let first = usize::try_from(seed).unwrap_or(0) % scenario.members;
        let count = faulty_max(scenario.members);
        let who = (0..count).map(|nth| (first + nth * 2) % scenario.members);
        scenario.adversaries = who.map(|member| (member, adversary)).collect();
        scenario
            .faults
            .retain(|(_, fault)| fault.loses_disk().is_none() && fault.sets_clock().is_none());
        scenario
    }

    /// Nothing but a leader that builds on less than it knows, and a network that tears at every moment: what
    /// finds votes that forget a certificate.
    #[must_use]
    pub fn stale_leader(seed: u64, members: usize) -> Self {
        let mut random = Random::new(seed ^ 0x57a1_e1ea_de70_0001);
        let heal_ms = 20_000;
        let faults = (0..24)
            .map(|_| {
                // Long enough for the others to give up a view and to decide the next ones.
                let fault = Fault::Partition {
                    part: 1 << random.index(members),
                    one_way: random.chance(200),
                    for_ms: random.between(600, 3_000),
                };
                (random.between(100, heal_ms), fault)
            })
            .collect();
        let weather = Weather {
            delay_ms_max: 40,
            loss_per_mille: 30,
            ..Weather::calm()
        };
        Self {
            weather,
            adversaries: vec![(random.index(members), Adversary::StaleLeader)],
            ..Self::of_faults(seed, members, heal_ms, faults)
        }
    }

    /// The same with bugs in every node.
    #[must_use]
    pub fn with_bugs(mut self, bugs: Bugs) -> Self {
        self.bugs = bugs;
        self
    }

    /// Whether this member follows the protocol.
    #[must_use]
    pub fn is_correct(&self, member: usize) -> bool {
        self.adversary(member).is_none()
    }

    /// How this member misbehaves.
    #[must_use]
    pub fn adversary(&self, member: usize) -> Option<Adversary> {
        self.adversaries
            .iter()
            .find(|(index, _)| *index == member)
            .map(|(_, adversary)| *adversary)
    }

    /// Whether the disk of this member is lost or fails in this run.
    #[must_use]
    pub fn loses_disk(&self, member: usize) -> bool {
        let lost = |(_, fault): &(u64, Fault)| fault.loses_disk() == Some(member);
        self.faults.iter().any(lost)
    }

    /// Whether the clock of this member is set wrong in this run: it votes for few records, or none.
    #[must_use]
    pub fn loses_time(&self, member: usize) -> bool {
        let set = |(_, fault): &(u64, Fault)| fault.sets_clock() == Some(member);
        self.faults.iter().any(set)
    }

    /// Whether the member is corrupt, or its disk fails or is lost: less is demanded of it.
    #[must_use]
    pub fn is_excused(&self, member: usize) -> bool {
        !self.is_correct(member) || self.loses_disk(member)
    }

    /// The bugs of a member's node.
    #[must_use]
    pub fn bugs_of(&self, member: usize) -> Bugs {
        Bugs {
            stale_leader: self.adversary(member) == Some(Adversary::StaleLeader),
            ..self.bugs
        }
    }
}
