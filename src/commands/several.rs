//! One thing done to several: at the same time, told in the order asked.

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// How many requests are under way at once: enough to hide the time that each
/// takes, and no burden to a service.
const AT_ONCE: usize = 8;

/// Does `work` to each of `names`. Those that fail are named on stderr, in the
/// order of `names`, the others are done; only Ctrl-C stops all. `verb` is what
/// is done (`delete`), `done` how that ends (`deleted`).
pub async fn each(
    ctx: &Context,
    (verb, done): (&str, &str),
    names: &[String],
    work: impl AsyncFn(&str) -> Result<()>,
) -> Result<()> {
    let mut failures = 0;
    let mut outcomes = stream::iter(names).map(async |name| (name, work(name).await)).buffered(AT_ONCE);
    while let Some((name, outcome)) = outcomes.next().await {
        match outcome {
            Ok(()) => {}
            Err(error) if error.kind == Kind::Interrupted => return Err(error),
            Err(error) => {
                failures += 1;
                let message = format!("cannot {verb} `{name}`: {}", error.message);
                ctx.failed(&Error { message, ..error });
            }
        }
    }
    match failures {
        0 => Ok(()),
        _ => {
            let all = names.len();
            Err(Error::new(Kind::Partial, format!("{failures} of {all} images could not be {done}")))
        }
    }
}

/// What `ask` answers to each of `things`, in their order; the first failure ends it.
pub async fn all<T, A>(things: Vec<T>, ask: impl AsyncFn(T) -> Result<A>) -> Result<Vec<A>> {
    stream::iter(things).map(async |thing| ask(thing).await).buffered(AT_ONCE).try_collect().await
}
