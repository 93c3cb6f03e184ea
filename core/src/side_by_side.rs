//! The same done to many on several threads; nothing but the time it takes depends on how many there are.

/// What comes of each stands in their order. `mine` is what this thread works with; every other begins with one of its own.
pub(crate) fn side_by_side<T: Sync, R: Send, S: Default>(
    all: &[T],
    threads: usize,
    mine: &mut S,
    each: impl Fn(&T, &mut S) -> R + Sync,
) -> Vec<R> {
    if threads <= 1 || all.len() <= 1 {
        return all.iter().map(|one| each(one, mine)).collect();
    }
    let (first, others) = all.split_at(all.len().div_ceil(threads));
    std::thread::scope(|scope| {
        let part = |some: &[T], with: &mut S| some.iter().map(|one| each(one, with)).collect::<Vec<R>>();
        let workers: Vec<_> =
            others.chunks(first.len()).map(|some| scope.spawn(move || part(some, &mut S::default()))).collect();
        let mut done = part(first, mine);
        for worker in workers {
            match worker.join() {
                Ok(some) => done.extend(some),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_of_each_stands_in_their_order_on_any_number_of_threads() {
        for count in [0, 1, 2, 7, 100] {
            let all: Vec<usize> = (0..count).collect();
            let wanted: Vec<usize> = all.iter().map(|n| n * n).collect();
            for threads in [0, 1, 2, 3, 7, 200] {
                let mut worked = 0;
                let done = side_by_side(&all, threads, &mut worked, |n, worked| {
                    *worked += 1;
                    n * n
                });
                assert_eq!(done, wanted);
                assert!(worked <= count && (count == 0 || worked > 0));
            }
        }
    }
}
