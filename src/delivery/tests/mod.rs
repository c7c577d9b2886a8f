//! A delivery that is not of the product, in a file and a row: what a new one needs, and that nothing but the table
//! knows which there are.

mod toy;

use std::io::Read;

use super::{way::FIRST_PORT, *};
use std::{net::TcpListener, pin::Pin, sync::Arc};

use crate::policy::{Decision, Document, Policy, Request, Resolved, SandboxMode, SandboxTerms, SecretFacts};
use crate::{
    audit::Note, names::RunId, policy::How, policy::Timed, run::Listening, sandbox::Endpoint,
    sandbox::SandboxPlan,
};

/// The terms of a run that has one secret in a variable and one in a file.
fn terms() -> RunTerms {
    let text = "scope = \"s\"\n[[allow]]\nsecrets = [\"a/env\"]\ndeliver = \"env\"\ncommands = [[\"true\"]]\n\
                [[allow]]\nsecrets = [\"a/file\"]\ndeliver = \"file\"\ncommands = [[\"true\"]]\n";
    let programs = Document::parse(text).unwrap().programs();
    let programs = programs.into_iter().map(|program| (program.name, "/bin/true".into())).collect();
    let policy = Policy::new(Document::parse(text).unwrap(), Resolved { programs, ..Resolved::default() });
    let names = ["a/env", "a/file"].map(|name| SecretName::parse(name).unwrap());
    let facts = names.clone().map(|name| SecretFacts { name, env: None, description: None });
    let request =
        Request { command: vec!["true".to_owned()], secrets: Some(names.to_vec()), ..Request::default() };
    match policy.decide(&request, &facts) {
        Decision::Allow(allowed) => allowed.terms().clone(),
        Decision::Deny(denial) => panic!("{denial:?}"),
    }
}

fn revealed(terms: &RunTerms) -> Vec<Revealed> {
    let secrets = terms.secrets.iter().cloned();
    let reveal = |secret: crate::policy::Delivered| Revealed {
        value: SecretValue::new(format!("the value of {}", secret.name).into_bytes()),
        name: secret.name,
        env: secret.env,
        how: secret.how,
    };
    secrets.map(reveal).collect()
}

fn off() -> SandboxPlan {
    let terms = SandboxTerms { mode: SandboxMode::Off, ..SandboxTerms::default() };
    SandboxPlan::off(terms.said_off().unwrap())
}

struct Always;

impl Right for Always {
    fn holds(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(std::future::ready(true))
    }
}

#[tokio::test]
async fn a_new_delivery_is_a_file_and_a_row() {
    let terms = terms();
    let rows: &[&dyn Delivery] = &[&toy::AtAPort, &env::InVariable, &file::InFile, &sealed::ByProxy];
    let sorted = Deliveries(rows).sort(revealed(&terms)).unwrap();
    assert_eq!(sorted.judge(&terms).unwrap(), terms.promise);
    let names = |hands| sorted.in_hands(hands).map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    assert_eq!((names(Hands::Program), names(Hands::Ours)), (vec!["a/env".into()], vec!["a/file".into()]));
    let plan = off();
    let run = ForRun { terms: &terms, plan: &plan, known: &[], timed: Timed::Yes };
    let outfit = sorted.deliver(Materials::default(), &run).unwrap();
    assert_eq!(outfit.resolved("find it {{a/file}}, not {{a/env}}"), "find it at the port, not {{a/env}}");
    let (materials, _, services) = outfit.into_parts();
    assert_eq!((materials.env_secrets.len(), materials.file_secrets.len()), (1, 0));
    let expected = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, FIRST_PORT);
    assert_eq!(materials.listen, [Endpoint::Stream(expected)]);
    assert!(materials.env.values().any(|text| text == FIRST_PORT.to_string().as_str()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let right: Arc<dyn Right> = Arc::new(Always);
    let serving = services.serve(vec![Listening::Stream(listener)], &right);
    let mut said = String::new();
    std::net::TcpStream::connect(address).unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "a/file");
    let id = RunId::random();
    for one in serving {
        assert!(matches!(one.end(&id).await[..], [Note::MoreRequests { number: 1, .. }]));
    }
}

#[test]
fn a_secret_that_no_delivery_takes_is_refused() {
    let rows: &[&dyn Delivery] = &[&env::InVariable];
    let left = Deliveries(rows).sort(revealed(&terms()));
    assert!(matches!(left.err(), Some(DeliveryError::NoWay(name)) if name.as_str() == "a/file"));
}

#[test]
fn more_places_than_a_run_is_handed_are_refused_and_not_left_out() {
    let place = |port| Endpoint::Stream(std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, port));
    let mut outfit = Outfit::default();
    outfit.listen(2);
    assert_eq!(outfit.listen_at((1..=62).map(place)), 62);
    assert_eq!(outfit.listen_at([place(63)]), 1, "one too many, which is counted");
    assert!(outfit.materials.listen.len() > MOST_LISTENERS);
    assert_eq!(outfit.listen_at([place(64)]), 0, "and so no more are kept");
}

#[test]
fn every_listener_has_its_own_port_and_more_than_a_run_is_handed_are_refused() {
    struct Greedy;
    impl Delivery for Greedy {
        fn takes(&self, _: &How) -> bool {
            true
        }
        fn hands(&self) -> Hands {
            Hands::Ours
        }
        fn deliver(&self, _: Vec<Revealed>, _: &ForRun<'_>, o: &mut Outfit) -> Result<(), DeliveryError> {
            assert_eq!([o.listen(2), o.listen(1)].concat(), [61_080, 61_081, 61_082]);
            o.listen(usize::MAX);
            Ok(())
        }
    }
    let (terms, plan) = (terms(), off());
    let run = ForRun { terms: &terms, plan: &plan, known: &[], timed: Timed::No };
    let made = Deliveries(&[&Greedy]).sort(Vec::new()).unwrap().deliver(Materials::default(), &run);
    assert!(matches!(made.err(), Some(DeliveryError::TooManyListeners)));
}
