//! What a loop tells of itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use evcore::base::{Metrics, SlowCallback, Turn};
use evcore::{Event, EventBase, EventConfig, EventFlags, LoopFlags};

const MS: Duration = Duration::from_millis(1);

fn busy_for(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn turns_events_and_waits_are_always_counted() {
    let base = EventBase::new().unwrap();
    let events: Vec<_> = (0..3).map(|_| Event::user(&base, |_, _| ()).unwrap()).collect();
    events.iter().for_each(|event| event.active(EventFlags::empty()).unwrap());
    base.run_loop(LoopFlags::NONBLOCK | LoopFlags::ONCE).unwrap();
    let timer = Event::timer(&base, |_, _| ()).unwrap();
    let mut rounds = 0;
    // On a busy machine the time may be over before there is anything to wait for.
    while base.metrics().waits == 0 {
        timer.add(Some(MS)).unwrap();
        base.dispatch().unwrap();
        rounds += 1;
    }
    let metrics = base.metrics();
    assert_eq!(metrics.events, 3 + rounds);
    assert!(metrics.waits < metrics.turns);
    assert_eq!(metrics.events_per_turn.count(), metrics.turns);
    assert_eq!(metrics.events_per_turn.buckets()[1..3], [rounds, 1]);
    assert_eq!(metrics.callback_time.count() + metrics.timer_lateness.count(), 0);
    base.reset_metrics();
    assert_eq!(base.metrics(), Metrics::default());
}

#[test]
fn times_are_measured_on_request() {
    let base = EventBase::with_config(EventConfig::new().metrics(true)).unwrap();
    // The slow callback itself sets the other timer, which so is late however fast the machine is;
    // the long one keeps the loop waiting.
    let late = Event::timer(&base, |_, _| ()).unwrap();
    let slow = Event::timer(&base, move |_, _| {
        late.add(Some(MS * 5)).unwrap();
        busy_for(MS * 20);
    })
    .unwrap();
    let long = Event::timer(&base, |_, _| ()).unwrap();
    slow.add(Some(MS)).unwrap();
    long.add(Some(MS * 200)).unwrap();
    base.dispatch().unwrap();
    let metrics = base.metrics();
    assert_eq!(metrics.callback_time.count(), 3);
    assert!(metrics.callback_time.quantile(1.0).unwrap() >= 20_000_000);
    assert_eq!(metrics.timer_lateness.count(), 3);
    assert!(metrics.timer_lateness.quantile(1.0).unwrap() >= 10_000_000);
    assert_eq!(metrics.wait_time.count(), metrics.waits);
    assert!(metrics.wait_time.quantile(1.0).unwrap() >= 500_000);
}

#[test]
fn a_slow_callback_is_told_with_its_event_and_the_hook_may_do_anything() {
    let base = EventBase::new().unwrap();
    let told: Rc<RefCell<Vec<SlowCallback>>> = Rc::default();
    let victim = Rc::new(RefCell::new(Some(Event::user(&base, |_, _| unreachable!()).unwrap())));
    let hook = {
        let (told, victim, weak) = (told.clone(), victim.clone(), base.downgrade());
        move |slow: &SlowCallback| {
            told.borrow_mut().push(slow.clone());
            victim.borrow_mut().take();
            let none = None::<fn(&SlowCallback)>;
            weak.upgrade().unwrap().set_slow_callback(Duration::ZERO, none).unwrap();
        }
    };
    base.set_slow_callback(MS * 20, Some(hook)).unwrap();
    let quick = Event::user(&base, |_, _| ()).unwrap();
    let slow = Event::user(&base, |_, _| busy_for(MS * 25)).unwrap();
    let active = |event: &Event| event.active(EventFlags::TIMEOUT).unwrap();
    active(&quick);
    active(&slow);
    active(victim.borrow().as_ref().unwrap());
    base.dispatch().unwrap();
    let told = told.take();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].event, told[0].fired), (slow.id(), EventFlags::TIMEOUT));
    assert!(told[0].took >= MS * 25);
    active(&slow);
    base.dispatch().unwrap();
}

#[test]
fn a_callback_may_switch_the_timing_on() {
    let base = EventBase::new().unwrap();
    let told = Rc::new(Cell::new(0));
    let event = {
        let told = told.clone();
        Event::user(&base, move |event, _| {
            let told = told.clone();
            let hook = move |_: &SlowCallback| told.set(told.get() + 1);
            event.base().unwrap().set_slow_callback(MS * 1000, Some(hook)).unwrap();
        })
        .unwrap()
    };
    event.active(EventFlags::empty()).unwrap();
    base.dispatch().unwrap();
    assert_eq!(told.get(), 0);
    base.free();
    assert_eq!(Rc::strong_count(&told), 1, "the freed base kept its callbacks");
}

#[test]
fn every_turn_is_told_with_what_it_did_until_nobody_wants_to_know() {
    let base = EventBase::new().unwrap();
    let told: Rc<RefCell<Vec<Turn>>> = Rc::default();
    let hook = {
        let told = told.clone();
        move |turn: &Turn| told.borrow_mut().push(turn.clone())
    };
    base.set_turn_hook(Some(hook)).unwrap();
    let busy = Event::user(&base, |_, _| busy_for(MS * 5)).unwrap();
    let quick = Event::user(&base, |_, _| ()).unwrap();
    busy.active(EventFlags::READ).unwrap();
    quick.active(EventFlags::READ).unwrap();
    let timer = Event::timer(&base, |_, _| ()).unwrap();
    timer.add(Some(MS * 20)).unwrap();
    base.dispatch().unwrap();
    let turns = base.metrics().turns;
    let first = told.borrow()[0].clone();
    assert_eq!(first.events, 2);
    assert!(first.took >= MS * 5);
    assert_eq!(told.borrow().last().unwrap().events, 1);
    assert_eq!(told.borrow().len() as u64, turns);

    base.set_turn_hook(None::<fn(&Turn)>).unwrap();
    quick.active(EventFlags::READ).unwrap();
    base.dispatch().unwrap();
    assert_eq!(told.borrow().len() as u64, turns);
}

#[test]
fn a_turn_s_hook_may_end_itself_and_free_the_base() {
    let base = EventBase::new().unwrap();
    let calls = Rc::new(Cell::new(0));
    let (counted, weak) = (calls.clone(), base.downgrade());
    let hook = move |_: &Turn| {
        counted.set(counted.get() + 1);
        let base = weak.upgrade().unwrap();
        base.set_turn_hook(None::<fn(&Turn)>).unwrap();
        base.free();
    };
    base.set_turn_hook(Some(hook)).unwrap();
    let event = Event::user(&base, |event, fired| event.active(fired).unwrap()).unwrap();
    event.active(EventFlags::READ).unwrap();
    base.dispatch().unwrap();
    assert_eq!(calls.get(), 1);
    assert!(base.set_turn_hook(None::<fn(&Turn)>).is_err());
}
