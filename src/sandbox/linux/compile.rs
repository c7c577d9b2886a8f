//! From a table of system calls to the program that the kernel asks at each of them (seccomp(2)): a search tree over
//! the call's number, and what is to be known of its arguments at the leaves.
//!
//! ```text
//!       load the architecture
//!       is it ours? ------------ no ---> kill the process
//!       load the number
//!       at least 135? ---------- no ---> at least 41? ----- …
//!       at least 272?                                         \
//!       …                                                      at least 56? ---> load argument 0
//!       is it refused always? -------------------------+       |                 any bit of CLONE_NEW…? --+
//!                                                      v       v                                          |
//!       refuse (EPERM)  <------------------------------+      allow                                       |
//!              ^------------------------------------------------------------------------------------------+
//! ```
//!
//! Numbers that stand beside each other with one rule are one range, so that a table of 80 calls is passed in some
//! seven comparisons. A chain that compares with one number after the other takes the kernel a millisecond to load:
//! it works out for every number whether the program would ever look further than that.
//!
//! A program jumps forward alone, by no more than 255 steps, so it is written from its end: where a jump goes is
//! there already. What is too far away is reached by a step between (`BPF_JA`), whose reach has no end.

use std::{collections::BTreeMap, io, ops::RangeInclusive};

use seccompiler::{BpfProgram, sock_filter};

/// What becomes of a system call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// It is refused with this error.
    Refuse(u16),
    /// It is refused with this error where all conditions of any of these hold.
    RefuseIf(u16, Vec<Vec<Condition>>),
    /// It is made.
    Allow,
}

/// What an argument is, by its lower half: the kernel reads no more of those that are asked for here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Condition {
    /// Which one, from 0.
    pub argument: u8,
    /// The bits that count.
    pub mask: u32,
    /// What they are held against: from one to another, both among them.
    pub values: Vec<(u32, u32)>,
    /// When it holds.
    pub holds: Holds,
}

/// When a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holds {
    /// Where the argument is one of the values.
    Among,
    /// Where it is none of them.
    NotAmong,
}

/// A rule for each number: that at the greatest key that is no greater. The first key is 0.
#[derive(Debug, Clone)]
pub(super) struct Table(BTreeMap<u32, Rule>);

impl Table {
    /// Every number has this rule.
    pub(super) fn of(rule: Rule) -> Self {
        Self(BTreeMap::from([(0, rule)]))
    }

    /// From now on these numbers have this rule.
    pub(super) fn set(&mut self, numbers: RangeInclusive<u32>, rule: Rule) {
        let behind = numbers.end().checked_add(1).map(|next| (next, self.rule(next).clone()));
        let covered: Vec<u32> = self.0.range(numbers.clone()).map(|(start, _)| *start).collect();
        for start in covered {
            self.0.remove(&start);
        }
        self.0.insert(*numbers.start(), rule);
        self.0.extend(behind);
    }

    pub(super) fn rule(&self, number: u32) -> &Rule {
        const REFUSED: Rule = Rule::Refuse(libc::EPERM as u16);
        self.0.range(..=number).next_back().map_or(&REFUSED, |(_, rule)| rule)
    }

    /// The ranges by where they begin, the first at 0; each has another rule than its neighbours.
    fn ranges(&self) -> Vec<(u32, &Rule)> {
        let mut ranges: Vec<_> = self.0.iter().map(|(start, rule)| (*start, rule)).collect();
        ranges.dedup_by_key(|(_, rule)| *rule);
        ranges
    }
}

/// The program of a table. `architecture` is the one whose numbers these are (`AUDIT_ARCH_…`); a call by the numbers of
/// another ends the process.
///
/// # Errors
/// Where it is longer than the kernel takes.
pub(super) fn compile(table: &Table, architecture: u32) -> io::Result<BpfProgram> {
    let mut writer = Writer::default();
    let kill = writer.give(libc::SECCOMP_RET_KILL_PROCESS);
    let search = writer.search(&table.ranges());
    let number = writer.before(LOAD, NUMBER, search);
    let ours = writer.branch(IF_EQUAL, architecture, number, kill);
    writer.before(LOAD, ARCHITECTURE, ours);
    let mut program = writer.written;
    if program.len() > LONGEST {
        return Err(io::ErrorKind::ArgumentListTooLong.into());
    }
    program.reverse();
    Ok(program)
}

/// `BPF_MAXINSNS` (linux/bpf_common.h).
const LONGEST: usize = 4096;

/// Instructions (linux/bpf_common.h, linux/filter.h): `BPF_LD | BPF_W | BPF_ABS`, `BPF_ALU | BPF_AND | BPF_K`,
/// `BPF_JMP | BPF_JA`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_JMP | BPF_JGE | BPF_K`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const GO: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Where things are in `struct seccomp_data` (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// The lower half of an argument: each has eight bytes.
fn argument(index: u8) -> u32 {
    const ARGUMENTS: u32 = 16;
    let upper_first = if cfg!(target_endian = "big") { 4 } else { 0 };
    ARGUMENTS + 8 * u32::from(index) + upper_first
}

/// Writes a program from its end: its last instruction is the first that is written.
#[derive(Default)]
struct Writer<'a> {
    written: BpfProgram,
    leaves: BTreeMap<&'a Rule, Written>,
    verdicts: BTreeMap<u32, Written>,
}

/// An instruction that is written, by how many were before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written(usize);

impl<'a> Writer<'a> {
    /// Finds the rule of the number that is loaded.
    fn search(&mut self, ranges: &[(u32, &'a Rule)]) -> Written {
        let (below, from) = ranges.split_at(ranges.len() / 2);
        match (below, from) {
            ([], [(_, rule), ..]) => self.leaf(rule),
            ([..], [(start, _), ..]) => {
                let at_least = self.search(from);
                let less = self.search(below);
                self.branch(IF_AT_LEAST, *start, at_least, less)
            }
            // No table is empty. Of one that were, no call would be let through.
            (_, []) => self.give(libc::SECCOMP_RET_KILL_PROCESS),
        }
    }

    /// What a rule says, written once.
    fn leaf(&mut self, rule: &'a Rule) -> Written {
        if let Some(written) = self.leaves.get(rule) {
            return *written;
        }
        let refuse = |errno: u16| libc::SECCOMP_RET_ERRNO | u32::from(errno);
        let leaf = match rule {
            Rule::Refuse(errno) => self.give(refuse(*errno)),
            Rule::Allow => self.give(libc::SECCOMP_RET_ALLOW),
            Rule::RefuseIf(errno, conditions) => {
                let refused = self.give(refuse(*errno));
                let allowed = self.give(libc::SECCOMP_RET_ALLOW);
                conditions.iter().rev().fold(allowed, |next, all| {
                    all.iter().rev().fold(refused, |then, condition| self.test(condition, then, next))
                })
            }
        };
        self.leaves.insert(rule, leaf);
        leaf
    }

    /// Goes to `then` where the condition holds, and else to `next`.
    fn test(&mut self, condition: &Condition, then: Written, next: Written) -> Written {
        let (found, other) = match condition.holds {
            Holds::Among => (then, next),
            Holds::NotAmong => (next, then),
        };
        let values = condition.values.iter().rev();
        let mut compared = values.fold(other, |go_on, values| self.within(*values, found, go_on));
        if condition.mask != u32::MAX {
            compared = self.before(AND, condition.mask, compared);
        }
        self.before(LOAD, argument(condition.argument), compared)
    }

    /// Goes to `found` where what is loaded is no less than the first value and no greater than the second.
    fn within(&mut self, (from, to): (u32, u32), found: Written, other: Written) -> Written {
        if from == to {
            return self.branch(IF_EQUAL, from, found, other);
        }
        let at_most = match to.checked_add(1) {
            Some(above) => self.branch(IF_AT_LEAST, above, other, found),
            None => found,
        };
        self.branch(IF_AT_LEAST, from, at_most, other)
    }

    /// The end: what the kernel is to do.
    fn give(&mut self, verdict: u32) -> Written {
        if let Some(written) = self.verdicts.get(&verdict) {
            return *written;
        }
        let written = self.write(RETURN, 0, 0, verdict);
        self.verdicts.insert(verdict, written);
        written
    }

    /// One of two ways.
    fn branch(&mut self, code: u16, k: u32, yes: Written, no: Written) -> Written {
        let no = self.near(no);
        let yes = self.near(yes);
        self.write(code, self.steps_over(yes), self.steps_over(no), k)
    }

    /// An instruction behind which the program goes on at `next`.
    fn before(&mut self, code: u16, k: u32, next: Written) -> Written {
        if self.between(next) != 0 {
            self.go(next);
        }
        self.write(code, 0, 0, k)
    }

    /// The same, or where it is too far away for a jump, one that goes there: also if one more is written before the
    /// jump is.
    fn near(&mut self, target: Written) -> Written {
        if self.between(target) < usize::from(u8::MAX) { target } else { self.go(target) }
    }

    fn go(&mut self, target: Written) -> Written {
        let over = u32::try_from(self.between(target)).unwrap_or(u32::MAX);
        self.write(GO, 0, 0, over)
    }

    fn steps_over(&self, target: Written) -> u8 {
        u8::try_from(self.between(target)).unwrap_or(u8::MAX)
    }

    /// How many instructions will be between the next one and this.
    fn between(&self, target: Written) -> usize {
        self.written.len() - target.0 - 1
    }

    fn write(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Written {
        self.written.push(sock_filter { code, jt, jf, k });
        Written(self.written.len() - 1)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a program says of a call, as a kernel would come to it, and after how many instructions.
    pub(in super::super) fn run(program: &[sock_filter], call: &Call) -> (u32, usize) {
        let (mut at, mut held, mut passed) = (0, 0, 0);
        loop {
            passed += 1;
            let step = &program[at];
            at += 1;
            let jump = |yes: bool| usize::from(if yes { step.jt } else { step.jf });
            match step.code {
                LOAD => held = call.word(step.k),
                AND => held &= step.k,
                GO => at += usize::try_from(step.k).unwrap(),
                IF_EQUAL => at += jump(held == step.k),
                IF_AT_LEAST => at += jump(held >= step.k),
                RETURN => return (step.k, passed),
                other => panic!("{other:#x} is no instruction of ours"),
            }
        }
    }

    /// `struct seccomp_data`, but for where the call was made from.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Call {
        pub number: u32,
        pub architecture: u32,
        pub arguments: [u64; 6],
    }

    impl Call {
        fn word(&self, offset: u32) -> u32 {
            let low = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap();
            match (offset, usize::try_from(offset.saturating_sub(16)).unwrap()) {
                (NUMBER, _) => self.number,
                (ARCHITECTURE, _) => self.architecture,
                (16.., behind) if behind % 8 == 0 => low(self.arguments[behind / 8]),
                _ => panic!("nothing that a rule asks for is at {offset}"),
            }
        }
    }

    const OURS: u32 = 7;
    const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;

    fn call(number: u32, arguments: [u64; 6]) -> Call {
        Call { number, architecture: OURS, arguments }
    }

    /// What a rule means, said once more.
    fn meant(rule: &Rule, arguments: &[u64; 6]) -> u32 {
        let holds = |condition: &Condition| {
            let value = arguments[usize::from(condition.argument)] & u64::from(condition.mask);
            let among = condition
                .values
                .iter()
                .any(|(from, to)| (u64::from(*from)..=u64::from(*to)).contains(&value));
            among == (condition.holds == Holds::Among)
        };
        match rule {
            Rule::Refuse(errno) => libc::SECCOMP_RET_ERRNO | u32::from(*errno),
            Rule::RefuseIf(errno, conditions) if conditions.iter().any(|all| all.iter().all(holds)) => {
                libc::SECCOMP_RET_ERRNO | u32::from(*errno)
            }
            _ => ALLOWED,
        }
    }

    fn conditions() -> impl Strategy<Value = Vec<Condition>> {
        let value = (0..4_u32, prop_oneof![Just(0), 0..3_u32, Just(u32::MAX)]);
        let value = value.prop_map(|(from, more)| (from, from.saturating_add(more)));
        let values = prop::collection::vec(value, 0..4);
        let mask = prop_oneof![Just(u32::MAX), Just(3), Just(1), Just(0)];
        let holds = prop_oneof![Just(Holds::Among), Just(Holds::NotAmong)];
        let one = (0..6_u8, mask, values, holds);
        let one = one.prop_map(|(argument, mask, values, holds)| Condition { argument, mask, values, holds });
        prop::collection::vec(one, 0..4)
    }

    fn rule() -> impl Strategy<Value = Rule> {
        prop_oneof![
            (0..4_u16).prop_map(Rule::Refuse),
            (0..4_u16, prop::collection::vec(conditions(), 0..3))
                .prop_map(|(errno, conditions)| Rule::RefuseIf(errno, conditions)),
            Just(Rule::Allow),
        ]
    }

    fn numbers() -> impl Strategy<Value = RangeInclusive<u32>> {
        let start = prop_oneof![0..300_u32, u32::MAX - 9..=u32::MAX];
        (start, 0..5_u32).prop_map(|(start, more)| start..=start.saturating_add(more))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_program_says_what_its_table_does(
            said in prop::collection::vec((numbers(), rule()), 0..200),
            arguments in prop::collection::vec(prop::array::uniform6(prop_oneof![0..6_u64, any::<u64>()]), 3),
        ) {
            let mut table = Table::of(Rule::Allow);
            said.iter().for_each(|(numbers, rule)| table.set(numbers.clone(), rule.clone()));
            let program = compile(&table, OURS).unwrap();
            for number in (0..310).chain(u32::MAX - 15..=u32::MAX) {
                // The last word counts.
                let rule = said.iter().rev().find(|(numbers, _)| numbers.contains(&number));
                let rule = rule.map_or(&Rule::Allow, |(_, rule)| rule);
                for arguments in &arguments {
                    let found = run(&program, &call(number, *arguments)).0;
                    prop_assert_eq!(found, meant(rule, arguments), "{} {:?} {:?}", number, rule, arguments);
                }
                let foreign = Call { architecture: OURS + 1, ..call(number, [0; 6]) };
                prop_assert_eq!(run(&program, &foreign).0, libc::SECCOMP_RET_KILL_PROCESS);
            }
        }
    }

    #[test]
    fn a_table_that_is_longer_than_a_jump_is_compiled_as_well_and_stays_a_tree() {
        let mut table = Table::of(Rule::Allow);
        let rule = |number: u32| {
            let values = vec![(number, number), (number + 1, number + 1)];
            let errno = u16::try_from(number % 5).unwrap();
            Rule::RefuseIf(
                errno,
                vec![vec![Condition { argument: 2, mask: u32::MAX, values, holds: Holds::Among }]],
            )
        };
        for number in 0..500 {
            table.set(number..=number, rule(number));
        }
        let program = compile(&table, OURS).unwrap();
        assert!(program.len() > 2000, "{}", program.len());
        for number in 0..510_u32 {
            for argument in [number.saturating_sub(1), number, number + 1, number + 2] {
                let arguments = [0, 0, u64::from(argument), 0, 0, 0];
                let meant = if number < 500 { meant(&rule(number), &arguments) } else { ALLOWED };
                let (found, passed) = run(&program, &call(number, arguments));
                assert_eq!(found, meant, "{number} {argument}");
                assert!(passed < 30, "{number} takes {passed} instructions");
            }
        }
    }

    #[test]
    fn a_search_through_nothing_ends_the_process() {
        let mut writer = Writer::default();
        writer.search(&[]);
        assert_eq!(writer.written.last().unwrap().k, libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn what_the_kernel_would_not_take_is_no_program() {
        let mut table = Table::of(Rule::Allow);
        for number in 0..3000 {
            let errno = u16::try_from(number % 2).unwrap();
            table.set(
                number..=number,
                Rule::RefuseIf(
                    errno,
                    vec![vec![Condition {
                        argument: 0,
                        mask: u32::MAX,
                        values: vec![(number, number)],
                        holds: Holds::Among,
                    }]],
                ),
            );
        }
        assert_eq!(compile(&table, OURS).unwrap_err().kind(), io::ErrorKind::ArgumentListTooLong);
        assert_eq!(compile(&Table::of(Rule::Allow), OURS).unwrap().len(), 5);
    }
}
