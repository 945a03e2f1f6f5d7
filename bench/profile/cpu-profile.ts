import { type Profiler, Session } from 'node:inspector';

export interface RunningProfile {
  end(): Profiler.Profile;
}

/** Begins a CPU profile of this process, a sample each millisecond (V8's own default). */
export function beginProfile(): RunningProfile {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.start');
  return {
    end: () => {
      let profile: Profiler.Profile | undefined;
      // Between a session and its own thread the answer is there before `post` returns.
      session.post('Profiler.stop', (error: Error | null, answer) => {
        if (error === null) profile = answer.profile;
      });
      session.disconnect();
      if (profile === undefined) throw new RangeError('V8 gave no profile.');
      return profile;
    },
  };
}
