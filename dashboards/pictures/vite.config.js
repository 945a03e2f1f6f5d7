import react from '@vitejs/plugin-react';

export default {
  plugins: [react()],
  logLevel: 'warn',
  // Read once, from this machine: to make it small would only cost time.
  build: { minify: false, chunkSizeWarningLimit: 50_000 },
};
