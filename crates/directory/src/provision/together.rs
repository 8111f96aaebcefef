//! Several futures of one caller at the same time, on its own task: nothing is spawned.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// A future that is not done yet.
pub(super) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Begins all in their order, then lets them run until all are done; the results in the same order.
pub(super) async fn together<T>(mut futures: Vec<Pending<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let open = futures.iter_mut().zip(&mut results).filter(|(_, result)| result.is_none());
        let mut waiting = false;
        for (future, result) in open {
            match future.as_mut().poll(context) {
                Poll::Ready(value) => *result = Some(value),
                Poll::Pending => waiting = true,
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn results_come_in_the_order_of_the_futures() {
        let (tell, told) = oneshot::channel();
        let first: Pending<'_, u8> = Box::pin(async move { told.await.unwrap() });
        let second: Pending<'_, u8> = Box::pin(async move {
            tell.send(1).unwrap();
            2
        });
        assert_eq!(together(vec![first, second]).await, [1, 2]);
        assert!(together::<u8>(Vec::new()).await.is_empty());
    }
}
