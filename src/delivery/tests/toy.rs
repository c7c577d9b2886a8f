//! Values of files are told to whoever connects to a port of the run, instead.

use std::{
    io::Write,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use super::super::{Beside, Delivery, DeliveryError, ForRun, Hands, Outfit, Revealed, Right, Serving};
use crate::{audit::Note, names::RunId, policy::How, run::Listening};

pub(super) struct AtAPort;

/// Before it serves, and while it does.
struct Greeter {
    names: Vec<String>,
}

struct Greeting {
    told: Arc<AtomicU64>,
    _thread: JoinHandle<()>,
}

impl Delivery for AtAPort {
    fn takes(&self, how: &How) -> bool {
        matches!(how, How::File)
    }

    fn hands(&self) -> Hands {
        Hands::Ours
    }

    fn deliver(
        &self,
        secrets: Vec<Revealed>,
        _: &ForRun<'_>,
        outfit: &mut Outfit,
    ) -> Result<(), DeliveryError> {
        let ports = outfit.listen(1);
        for secret in &secrets {
            outfit.materials.env.insert(secret.env.clone(), ports[0].to_string().into());
            outfit.refer(&secret.name, "at the port");
        }
        let names = secrets.iter().map(|secret| secret.name.to_string()).collect();
        outfit.serve(ports.len(), Greeter { names });
        Ok(())
    }
}

impl Beside for Greeter {
    fn serve(
        self: Box<Self>,
        sockets: Vec<Listening>,
        _: Arc<dyn Right>,
    ) -> Result<Box<dyn Serving>, DeliveryError> {
        let told = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&told);
        let _thread = std::thread::spawn(move || {
            let accepted = sockets.iter().filter_map(|socket| match socket {
                Listening::Stream(listener) => listener.accept().ok(),
                Listening::Datagrams(_) => None,
            });
            for (mut caller, _) in accepted {
                caller.write_all(self.names.join(" ").as_bytes()).unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(Box::new(Greeting { told, _thread }))
    }
}

impl Serving for Greeting {
    fn records(&self, _: &RunId) -> Vec<Note> {
        Vec::new()
    }

    fn stop(&self) {}

    fn end<'a>(self: Box<Self>, run: &'a RunId) -> Pin<Box<dyn Future<Output = Vec<Note>> + Send + 'a>> {
        let number = self.told.load(Ordering::SeqCst);
        Box::pin(async move { vec![Note::MoreRequests { run: run.clone(), number }] })
    }
}
