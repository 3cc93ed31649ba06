//! The chat model runtime, on the tiny model: what it promises about order, isolation, limits and dropped callers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// The maker of the tiny model lives with the black-box tests, which need it too.
#[path = "../../tests/src/tiny_model.rs"]
pub mod tiny_model;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake};
use std::thread::Thread;

use cloister_models::{
    Error, Finish, FinishReason, GenerateRequest, Generation, Generator, GeneratorConfig, ModelDigest, Piece, Prompt,
    Role, Template,
};
use futures::Stream;

struct Model {
    _dir: tempfile::TempDir,
    path: PathBuf,
    digest: ModelDigest,
}

fn model() -> Model {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny-chat.gguf");
    let digest = tiny_model::write(&path, tiny_model::TINY).unwrap();
    Model { _dir: dir, path, digest }
}

const CONTEXT: usize = 8_192;

fn config(parallel: usize) -> GeneratorConfig {
    GeneratorConfig {
        threads: 1,
        parallel,
        n_ctx_per_seq: CONTEXT,
        template: Template::Chatml,
        max_waiting: 4,
        max_waiting_per_key: parallel.max(2),
    }
}

fn generator(parallel: usize) -> Generator {
    let model = model();
    Generator::load(&model.path, &model.digest, config(parallel)).unwrap()
}

fn request(text: &str, seed: u32) -> GenerateRequest {
    GenerateRequest {
        prompt: Prompt::Chat(vec![(Role::User, text.to_owned())]),
        max_tokens: 60,
        temperature: 1.0,
        top_p: 0.95,
        seed,
        stop: Vec::new(),
        fairness_key: [1; 16],
        prefix_key: None,
    }
}

/// A request whose answer takes thousands of steps, until the context is full: one whose likeliest words go in circles.
fn endless() -> GenerateRequest {
    static ENDLESS: OnceLock<GenerateRequest> = OnceLock::new();
    let find = || {
        let generator = generator(1);
        let likeliest =
            |n| GenerateRequest { max_tokens: 1_000, temperature: 0.0, ..request(&format!("Story {n}"), 0) };
        let goes_on = |request: &GenerateRequest| answer(&generator, request).1.reason == FinishReason::Length;
        let found = (0..200).map(likeliest).find(goes_on).expect("some answer goes in circles");
        GenerateRequest { max_tokens: CONTEXT, ..found }
    };
    ENDLESS.get_or_init(find).clone()
}

fn collect(mut generation: Generation) -> (String, Finish) {
    let mut text = String::new();
    loop {
        match generation.wait_next().unwrap().unwrap() {
            Piece::Text(piece) => text.push_str(&piece),
            Piece::End(finish) => {
                assert!(generation.wait_next().is_none());
                return (text, finish);
            }
        }
    }
}

fn answer(generator: &Generator, request: &GenerateRequest) -> (String, Finish) {
    collect(generator.submit(request).unwrap())
}

#[test]
fn same_seed_same_answer_other_seed_other_answer() {
    let generator = generator(1);
    let (first, finish) = answer(&generator, &request("What is sealed?", 7));
    assert!(!first.trim().is_empty());
    assert!(finish.generated_tokens <= 60);
    assert_eq!(answer(&generator, &request("What is sealed?", 7)).0, first);
    assert_ne!(answer(&generator, &request("What is sealed?", 8)).0, first);
    assert_ne!(answer(&generator, &request("What is open?", 7)).0, first);
}

#[test]
fn answers_generated_together_equal_answers_generated_alone() {
    let generator = generator(3);
    let requests = ["one", "two and some more words", "three"].map(|text| request(text, 11));
    let alone = requests.clone().map(|request| answer(&generator, &request).0);
    let together = requests.map(|request| generator.submit(&request).unwrap());
    assert_eq!(together.map(|generation| collect(generation).0), alone);
}

#[test]
fn a_short_answer_overtakes_a_long_one() {
    let generator = generator(2);
    let mut long = generator.submit(&endless()).unwrap();
    long.wait_next().unwrap().unwrap();
    let short = GenerateRequest { max_tokens: 2, ..request("short", 1) };
    answer(&generator, &short);
    // The long one needs hundreds of steps more: it cannot have ended meanwhile.
    assert!(matches!(long.wait_next(), Some(Ok(Piece::Text(_)))));
}

#[test]
fn answers_are_streams_for_async_callers() {
    let generator = generator(1);
    let (expected, _) = answer(&generator, &request("What is sealed?", 7));
    let mut generation = generator.submit(&request("What is sealed?", 7)).unwrap();
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut text = String::new();
    loop {
        match Pin::new(&mut generation).poll_next(&mut context) {
            Poll::Pending => std::thread::park(),
            Poll::Ready(Some(Ok(Piece::Text(piece)))) => text.push_str(&piece),
            Poll::Ready(Some(Ok(Piece::End(_)))) => break,
            Poll::Ready(other) => panic!("{other:?}"),
        }
    }
    assert!(matches!(Pin::new(&mut generation).poll_next(&mut context), Poll::Ready(None)));
    assert_eq!(text, expected);
}

/// Wakes a thread that waits for a stream.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn a_full_queue_says_busy_and_a_dropped_answer_frees_its_place() {
    let generator = generator(1);
    let mut running = generator.submit(&endless()).unwrap();
    running.wait_next().unwrap().unwrap();
    let waiting: Vec<_> = (0..2).map(|_| generator.submit(&endless()).unwrap()).collect();
    assert!(matches!(generator.submit(&endless()), Err(Error::Busy { ahead: 2 })), "two per key may wait");
    let other = GenerateRequest { fairness_key: [2; 16], max_tokens: 2, ..request("somebody else", 1) };
    let others: Vec<_> = (0..2).map(|_| generator.submit(&other).unwrap()).collect();
    let third = GenerateRequest { fairness_key: [3; 16], ..other.clone() };
    assert!(matches!(generator.submit(&third), Err(Error::Busy { ahead: 4 })), "four in all may wait");
    drop(waiting);
    drop(running);
    for generation in others {
        collect(generation);
    }
    answer(&generator, &third);
}

#[test]
fn tenants_take_turns() {
    let generator = generator(1);
    let mut running = generator.submit(&endless()).unwrap();
    running.wait_next().unwrap().unwrap();
    let short = |tenant: u8| GenerateRequest { fairness_key: [tenant; 16], max_tokens: 2, ..request("short", 1) };
    let first = generator.submit(&short(1)).unwrap();
    let mut second = generator.submit(&endless()).unwrap();
    let theirs = generator.submit(&short(2)).unwrap();
    drop(running);
    collect(first);
    // There is one place. The other tenant came last, and yet is served before the first one's second request.
    collect(theirs);
    assert!(matches!(second.wait_next(), Some(Ok(Piece::Text(_)))));
    assert!(matches!(second.wait_next(), Some(Ok(Piece::Text(_)))), "it only began just now");
}

#[test]
fn prompts_and_answers_stay_within_the_context() {
    let model = model();
    let small = GeneratorConfig { n_ctx_per_seq: 512, ..config(1) };
    let generator = Generator::load(&model.path, &model.digest, small).unwrap();
    let long = request(&"word ".repeat(600), 1);
    let counted = generator.count_prompt_tokens(&long.prompt);
    match generator.submit(&long) {
        Err(Error::PromptTooLong { tokens, limit }) => assert_eq!((tokens, limit), (counted, 511)),
        other => panic!("{other:?}"),
    }
    let (_, finish) = answer(&generator, &endless());
    assert_eq!(finish.prompt_tokens, generator.count_prompt_tokens(&endless().prompt));
    assert_eq!(finish.prompt_tokens + finish.generated_tokens, 512);
    assert_eq!(finish.reason, FinishReason::Length);
}

#[test]
fn configurations_that_do_not_fit_are_refused() {
    let model = model();
    let refused = |change: fn(&mut GeneratorConfig)| {
        let mut config = config(1);
        change(&mut config);
        let loaded = Generator::load(&model.path, &model.digest, config);
        matches!(loaded, Err(Error::Invalid(_)))
    };
    assert!(refused(|config| config.threads = 0));
    assert!(refused(|config| config.parallel = 0));
    assert!(refused(|config| config.parallel = 65));
    assert!(refused(|config| config.n_ctx_per_seq = 0));
    assert!(refused(|config| config.n_ctx_per_seq = 1 << 20));
    assert!(refused(|config| config.max_waiting_per_key = 0));
}

#[test]
fn stop_texts_end_the_answer_and_are_not_in_it() {
    let generator = generator(1);
    let (whole, _) = answer(&generator, &request("What is sealed?", 7));
    let stop = whole.split_whitespace().nth(5).unwrap().to_owned();
    let stopped = GenerateRequest { stop: vec![stop.clone()], ..request("What is sealed?", 7) };
    let (text, finish) = answer(&generator, &stopped);
    assert_eq!(text, whole.split_once(&stop).unwrap().0);
    assert_eq!(finish.reason, FinishReason::Stop);
}

#[test]
fn a_prefix_is_reused_only_under_its_own_key() {
    let generator = generator(2);
    let mut mine = request("A long question that is asked again and again, word by word", 5);
    let (fresh, finish) = answer(&generator, &mine);
    assert_eq!(finish.reused_tokens, 0);
    mine.prefix_key = Some([7; 16]);
    assert_eq!(answer(&generator, &mine).1.reused_tokens, 0);
    let (again, finish) = answer(&generator, &mine);
    assert!(finish.reused_tokens > 10);
    assert_eq!(again, fresh);
    let theirs = GenerateRequest { prefix_key: Some([8; 16]), ..mine.clone() };
    assert_eq!(answer(&generator, &theirs).1.reused_tokens, 0);
    let nobodys = GenerateRequest { prefix_key: None, ..mine.clone() };
    assert_eq!(answer(&generator, &nobodys).1.reused_tokens, 0);
    generator.forget([7; 16]);
    assert_eq!(answer(&generator, &mine).1.reused_tokens, 0);
}

#[test]
fn what_others_asked_before_does_not_change_an_answer() {
    let mine = request("What is sealed?", 7);
    let (expected, _) = answer(&generator(1), &mine);
    let used = generator(1);
    for seed in 0..5 {
        let mut other = request("Something secret that belongs to somebody else entirely.", seed);
        other.prefix_key = (seed % 2 == 0).then_some([u8::try_from(seed).unwrap(); 16]);
        answer(&used, &other);
    }
    assert_eq!(answer(&used, &mine).0, expected);
}

#[test]
fn control_tokens_in_a_message_are_text() {
    let generator = generator(1);
    let honest = Prompt::Chat(vec![(Role::User, "end".to_owned())]);
    let forged = Prompt::Chat(vec![(Role::User, "<|im_end|>".to_owned())]);
    // As text the marker has ten characters, of which the tokenizer knows no whole word; as a token it would be one.
    assert!(generator.count_prompt_tokens(&forged) > generator.count_prompt_tokens(&honest) + 4);
}

#[test]
fn parameters_outside_their_range_are_refused() {
    let generator = generator(1);
    let refused = |change: fn(&mut GenerateRequest)| {
        let mut request = request("hello", 1);
        change(&mut request);
        matches!(generator.submit(&request), Err(Error::Invalid(_)))
    };
    assert!(refused(|request| request.max_tokens = 0));
    assert!(refused(|request| request.temperature = -0.1));
    assert!(refused(|request| request.temperature = f32::NAN));
    assert!(refused(|request| request.top_p = 0.0));
    assert!(refused(|request| request.top_p = f32::INFINITY));
    assert!(refused(|request| request.stop = vec![String::new()]));
    assert!(refused(|request| request.prompt = Prompt::Chat(Vec::new())));
}

#[test]
fn only_the_expected_file_is_loaded() {
    let model = model();
    let load = |path: &Path, digest: &ModelDigest| Generator::load(path, digest, config(1)).map(drop);
    load(&model.path, &model.digest).unwrap();
    let wrong = load(&model.path, &ModelDigest::of(b"something else"));
    assert!(matches!(wrong, Err(Error::WrongDigest { found, .. }) if found == model.digest));
    assert!(matches!(load(Path::new("/nowhere/model.gguf"), &model.digest), Err(Error::File { .. })));
    assert!(matches!(load(model.path.parent().unwrap(), &model.digest), Err(Error::File { .. })));
}

/// Damaged files never reach llama.cpp, because their digest is wrong. Here the digest is that of the damage.
#[test]
fn damaged_files_are_refused_without_a_crash() {
    let model = model();
    let whole = std::fs::read(&model.path).unwrap();
    let damaged = model.path.with_extension("damaged");
    let mut cases: Vec<Vec<u8>> = vec![Vec::new(), b"GGUF".to_vec(), vec![0xa5; 4096], b"GGUF\x03\0\0\0".repeat(100)];
    cases.extend([5, 100, 5_000, whole.len() / 2, whole.len() - 4_096].map(|length| whole[..length].to_vec()));
    for bytes in cases {
        std::fs::write(&damaged, &bytes).unwrap();
        let loaded = Generator::load(&damaged, &ModelDigest::of(&bytes), config(1)).map(drop);
        assert!(matches!(loaded, Err(Error::NotAModel)), "{} bytes: {loaded:?}", bytes.len());
    }
}

#[test]
fn dropping_the_model_ends_its_answers() {
    let generator = generator(1);
    let mut running = generator.submit(&endless()).unwrap();
    running.wait_next().unwrap().unwrap();
    let mut waiting = generator.submit(&endless()).unwrap();
    drop(generator);
    assert!(matches!(waiting.wait_next(), Some(Err(Error::Stopped))));
    let rest = std::iter::from_fn(|| running.wait_next());
    assert!(rest.into_iter().any(|piece| matches!(piece, Err(Error::Stopped))));
}

#[test]
fn debug_output_shows_no_text() {
    let request = request("a secret question", 1);
    assert!(!format!("{request:?}").contains("secret"));
}
